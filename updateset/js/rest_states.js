(function process(/*RESTAPIRequest*/ request, /*RESTAPIResponse*/ response) {
    var table = String(request.pathParams.record_type);
    if (new ServiceNowForMattermostConstants().STATE_TABLES.indexOf(table) < 0) {
        response.setError(new sn_ws_err.BadRequestError('record_type not supported'));
        return;
    }
    response.setBody(new ServiceNowForMattermostColumns().states(table));
})(request, response);
