// Only the component's own scripts write to this table.
answer = false;
