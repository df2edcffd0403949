// Not used since 3.0.0: the action on x_830655_mm_std.task_changed reports changes of all classes.
(function () {})();
