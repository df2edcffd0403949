// Not used since 3.0.0. The rule on task handles changes of all classes, including this one.
(function executeRule(current, previous /*null when async*/) {})(current, previous);
