(function () {
    var delivery = new ServiceNowForMattermostDelivery();
    try {
        delivery.deliver(String(event.parm1));
        delivery.sweep();
        new ServiceNowForMattermostOutbox().purge();
    } catch (error) {
        gs.error('Mattermost: report {0} could not be sent, it will be tried again.', String(event.parm1));
    }
})();
