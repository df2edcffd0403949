(function process(/*RESTAPIRequest*/ request, /*RESTAPIResponse*/ response) {
    response.setBody({ version: new ServiceNowForMattermostConstants().VERSION });
})(request, response);
