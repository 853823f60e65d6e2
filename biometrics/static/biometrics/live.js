// The board over the staff socket: numbers {key: text} into [data-live=key], tables
// {key: rows of cells} into [data-live-rows=key], charts {key: data} into the canvas of
// [data-live-chart=key].
// [data-live-value=key] gets its value; [data-live-wrong=key] turns red when it is not 0;
// [data-live-some=key] is shown with rows, [data-live-none=key] without.
// When the number of data-live-turn is no longer data-live-was, the page has turned into
// another one: it is loaded anew, unless somebody is writing on it.
// Without the socket the page keeps the server's numbers and says that they are not live.
"use strict";

(function () {
  const root = document.querySelector("[data-live-root]");
  if (!root) return;
  const state = root.querySelector("[data-live-state]");
  const drawn = {};
  let wait = 1000;

  function places(kind, key) {
    return root.querySelectorAll(`[data-live${kind}="${CSS.escape(key)}"]`);
  }

  function say(text) {
    if (state) state.textContent = text;
  }

  function write(place, text) {
    if (place.textContent !== text) place.textContent = text;
  }

  function show(numbers) {
    for (const [key, text] of Object.entries(numbers)) {
      for (const place of places("", key)) write(place, text);
      for (const place of places("-value", key)) place.value = Number(text);
      for (const place of places("-wrong", key)) {
        place.classList.toggle("console-wrong", text !== "0");
      }
    }
    const now = numbers[root.dataset.liveTurn];
    if (now !== undefined && now !== root.dataset.liveWas && !isWrittenOn()) {
      location.reload();
    }
  }

  // In place, since somebody's keyboard may be on a link among the rows.
  function fill(body, rows) {
    const labels = [...body.parentElement.tHead.rows[0].cells].map((one) => one.textContent);
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach(function (row, at) {
      const line = body.rows[at] || body.insertRow();
      row.forEach((told, column) => {
        const cell = line.cells[column] || line.appendChild(cellOf(column, labels));
        put(cell, told);
      });
    });
  }

  function cellOf(column, labels) {
    const cell = document.createElement(column ? "td" : "th");
    if (!column) cell.scope = "row";
    cell.dataset.label = labels[column];
    return cell;
  }

  function put(cell, told) {
    cell.dataset.tone = told.tone;
    let place = cell.querySelector("a");
    if (told.href && !place) {
      place = document.createElement("a");
      place.className = "text-link";
      cell.replaceChildren(place);
    }
    if (told.href) place.setAttribute("href", told.href);
    write(told.href ? place : cell, told.text);
  }

  function tabulate(tables) {
    for (const [key, rows] of Object.entries(tables)) {
      for (const body of places("-rows", key)) fill(body, rows);
      for (const place of places("-some", key)) place.hidden = rows.length === 0;
      for (const place of places("-none", key)) place.hidden = rows.length > 0;
    }
  }

  function draw(charts) {
    for (const [key, data] of Object.entries(charts)) {
      const text = JSON.stringify(data);
      if (drawn[key] === text) continue;
      drawn[key] = text;
      for (const place of places("-chart", key)) {
        const chart = Chart.getChart(place.querySelector("canvas"));
        if (!chart) continue;
        chart.data = data;
        chart.update("none");
      }
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
      const board = JSON.parse(event.data);
      show(board.numbers);
      tabulate(board.tables);
      draw(board.charts);
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
