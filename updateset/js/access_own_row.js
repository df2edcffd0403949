// Only the row's creator and administrators.
answer = gs.hasRole('admin') || String(current.getValue('sys_created_by')) === String(gs.getUserName());
