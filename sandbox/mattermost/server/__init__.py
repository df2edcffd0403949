"""The server's state, and what several REST routes share: sessions, the WebSocket, attachments and unread counts."""
