(function process(/*RESTAPIRequest*/ request, /*RESTAPIResponse*/ response) {
    var constants = new ServiceNowForMattermostConstants();
    if (!gs.hasRole('admin')) {
        var refusal = new sn_ws_err.ServiceError();
        refusal.setStatus(403);
        refusal.setMessage('Insufficient rights');
        refusal.setDetail('The role admin is required');
        response.setError(refusal);
        return;
    }
    function count(states) {
        var counted = new GlideAggregate(constants.DELIVERIES);
        counted.addQuery('state', 'IN', states);
        counted.addAggregate('COUNT');
        counted.query();
        return counted.next() ? parseInt(counted.getAggregate('COUNT'), 10) || 0 : 0;
    }
    function text(value) {
        return value === null || value === undefined ? '' : String(value);
    }
    var waiting = constants.CAPTURED + ',' + constants.QUEUED;
    var oldest = new GlideRecord(constants.DELIVERIES);
    oldest.addQuery('state', 'IN', waiting);
    oldest.orderBy('sys_created_on');
    oldest.setLimit(1);
    oldest.query();
    var last = new GlideRecord(constants.DELIVERIES);
    last.addNotNullQuery('last_status');
    last.orderByDesc('sys_updated_on');
    last.setLimit(1);
    last.query();
    var tried = last.next();
    response.setBody({
        version: constants.VERSION,
        queued: count(waiting),
        dead: count(constants.DEAD),
        oldest_queued: oldest.next() ? text(oldest.getValue('sys_created_on')) : '',
        last_status: tried ? parseInt(text(last.getValue('last_status')) || '0', 10) : 0,
        last_error: tried ? text(last.getValue('last_error')) : ''
    });
})(request, response);
