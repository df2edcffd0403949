(function process(/*RESTAPIRequest*/ request, /*RESTAPIResponse*/ response) {
    var constants = new ServiceNowForMattermostConstants();
    var asked = request.body.data || {};
    var server = typeof asked.server_url === 'string' ? asked.server_url : '';
    var nonce = typeof asked.nonce === 'string' ? asked.nonce : '';
    var id = typeof asked.subscription === 'string' ? asked.subscription : '';

    function refuse(detail) {
        var refusal = new sn_ws_err.ServiceError();
        refusal.setStatus(403);
        refusal.setMessage('Insufficient rights');
        refusal.setDetail(detail);
        response.setError(refusal);
    }

    if (!server || !/^[A-Za-z0-9_-]{1,64}$/.test(nonce) || (id && !/^[0-9a-f]{32}$/.test(id))) {
        response.setError(new sn_ws_err.BadRequestError('server_url and nonce are required, subscription is a sys_id'));
        return;
    }
    var subscription = null;
    var record = null;
    if (id) {
        subscription = new GlideRecord(constants.SUBSCRIPTIONS);
        if (!subscription.get('sys_id', id) || String(subscription.getValue('server_url')) !== server) {
            response.setError(new sn_ws_err.NotFoundError('No such subscription of this server_url'));
            return;
        }
        if (!gs.hasRole('admin') && String(subscription.getValue('sys_created_by')) !== String(gs.getUserName())) {
            refuse('A subscription is tested by its creator or an administrator');
            return;
        }
    } else if (!gs.hasRole('admin')) {
        refuse('The role admin is required');
        return;
    }
    if (!new ServiceNowForMattermostDelivery().key(server)) {
        response.setError(new sn_ws_err.BadRequestError('No signing key for this server_url'));
        return;
    }
    if (subscription) {
        record = new ServiceNowForMattermostMatching().newest(subscription);
        if (!record) {
            response.setError(new sn_ws_err.NotFoundError('No record matches this subscription'));
            return;
        }
    }
    var eventId = new ServiceNowForMattermostReports().queueTest(server, nonce, record, subscription);
    response.setStatus(202);
    response.setBody({ event_id: eventId });
})(request, response);
