// Live numbers: {"numbers": {key: text}} from the staff socket into [data-live=key].
// [data-live-value=key] gets its value. When the number of data-live-turn is no longer
// data-live-was, the page has turned into another one: it is loaded anew, unless somebody
// is writing on it.
// Without the socket the page keeps the server's numbers and says that they are not live.
"use strict";

(function () {
  const root = document.querySelector("[data-live-root]");
  if (!root) return;
  const state = root.querySelector("[data-live-state]");
  let wait = 1000;

  function say(text) {
    if (state) state.textContent = text;
  }

  function show(numbers) {
    for (const [key, text] of Object.entries(numbers)) {
      for (const place of root.querySelectorAll(`[data-live="${CSS.escape(key)}"]`)) {
        place.textContent = text;
      }
      for (const place of root.querySelectorAll(`[data-live-value="${CSS.escape(key)}"]`)) {
        place.value = Number(text);
      }
    }
    const now = numbers[root.dataset.liveTurn];
    if (now !== undefined && now !== root.dataset.liveWas && !isWrittenOn()) {
      location.reload();
    }
  }

  function isWrittenOn() {
    return [...root.querySelectorAll("input:not([type=hidden]), textarea")].some(
      (field) => field.value !== "",
    );
  }

  function connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${root.dataset.liveUrl}`);
    socket.addEventListener("open", function () {
      wait = 1000;
      say("live");
    });
    socket.addEventListener("message", function (event) {
      show(JSON.parse(event.data).numbers);
    });
    socket.addEventListener("close", function (event) {
      say("not live");
      // 4403: this person may not watch; asking again would not help.
      if (event.code === 4403) return;
      setTimeout(connect, wait);
      wait = Math.min(wait * 2, 30000);
    });
  }

  connect();
})();
