/** The WebSocket, which reconnects automatically. https://developers.mattermost.com/api-documentation/ */

const LONGEST_PAUSE = 15000;

/**
 * Listen to the server's events.
 *
 * `onEvent(event, data, broadcast)` gets each one. `onBack(first)` is called after each connect, to reload what may
 * have been missed. `onChange(up, version)` reports each change of the connection.
 * Returns a function that closes it.
 */
export function listen({ onEvent, onBack, onChange }) {
  let socket = null;
  let pause = 500;
  let before = false;
  let over = false;
  let timer = 0;

  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/api/v4/websocket`);
    socket.addEventListener("message", (message) => {
      const { event, data, broadcast } = JSON.parse(message.data);
      if (event === "hello") {
        pause = 500;
        onChange(true, data?.server_version ?? "");
        onBack(!before);
        before = true;
      } else if (event) {
        onEvent(event, data ?? {}, broadcast ?? {});
      }
    });
    socket.addEventListener("close", () => {
      if (over) return;
      onChange(false);
      timer = setTimeout(connect, pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
  }

  function hurry() {
    if (socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(timer);
    connect();
  }

  connect();
  window.addEventListener("online", hurry);
  return () => {
    over = true;
    window.removeEventListener("online", hurry);
    clearTimeout(timer);
    socket.close();
  };
}
