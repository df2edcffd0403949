(function process(/*RESTAPIRequest*/ request, /*RESTAPIResponse*/ response) {
    var constants = new ServiceNowForMattermostConstants();
    var table = String(request.pathParams.table);
    if (!gs.hasRole(constants.ROLE)) {
        var refusal = new sn_ws_err.ServiceError();
        refusal.setStatus(403);
        refusal.setMessage('Insufficient rights');
        refusal.setDetail('The role ' + constants.ROLE + ' is required');
        response.setError(refusal);
        return;
    }
    if (constants.SHARED_TABLES.indexOf(table) < 0 || !gs.tableExists(table)) {
        response.setError(new sn_ws_err.BadRequestError('table not supported'));
        return;
    }
    response.setBody({ table: table, columns: new ServiceNowForMattermostColumns().columns(table) });
})(request, response);
