// Not used since 3.0.0. The action for x_830655_mm_std.task_changed handles changes of all classes.
(function () {})();
