"""The ServiceNow side: the component's update set, made from its records and scripts."""
