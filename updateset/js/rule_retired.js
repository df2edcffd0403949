// Not used since 3.0.0: the rule on task sees changes of all classes, this one among them.
(function executeRule(current, previous /*null when async*/) {})(current, previous);
