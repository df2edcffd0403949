(function () {
    var delivery = new ServiceNowForMattermostDelivery();
    try {
        var queued = new ServiceNowForMattermostReports().process(String(event.parm1));
        for (var i = 0; i < queued.length; i++) {
            delivery.deliver(queued[i]);
        }
    } catch (error) {
        gs.error('Mattermost: kept change {0} could not be reported, it will be tried again.', String(event.parm1));
    }
    try {
        delivery.sweep();
        new ServiceNowForMattermostOutbox().purge();
    } catch (error) {
        gs.error('Mattermost: waiting reports could not be looked through.');
    }
})();
