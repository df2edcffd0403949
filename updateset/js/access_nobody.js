// The component's own scripts alone write this table.
answer = false;
