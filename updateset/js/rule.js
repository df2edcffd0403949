(function executeRule(current, previous /*null when async*/) {
    // An error here must not make a person's save fail.
    try {
        new ServiceNowForMattermostChanges().observe(current, previous);
    } catch (error) {
        try {
            gs.error('Mattermost: a change of {0} could not be kept.', String(current.getUniqueValue()));
        } catch (ignored) {
            return;
        }
    }
})(current, previous);
