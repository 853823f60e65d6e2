// The HRV chart: [data-hrv=id] is drawn from the JSON of #id with the Chart.js that Unfold
// ships. Drawn anew when the theme changes; the arrow keys read out the nights.
"use strict";

(function () {
  const THEMES = {
    light: { value: "#6d28d9", band: "rgba(109, 40, 217, 0.14)", edge: "rgba(109, 40, 217, 0.55)", text: "#374151", grid: "rgba(107, 114, 128, 0.25)",
      CRITICAL: "#b91c1c", HIGH: "#c2410c", MEDIUM: "#1d4ed8", "Taken back": "#4b5563" },
    dark: { value: "#c4b5fd", band: "rgba(196, 181, 253, 0.16)", edge: "rgba(196, 181, 253, 0.6)", text: "#d1d5db", grid: "rgba(156, 163, 175, 0.25)",
      CRITICAL: "#f87171", HIGH: "#fb923c", MEDIUM: "#60a5fa", "Taken back": "#9ca3af" },
  };
  // Severities differ by shape too, not by colour alone.
  const SHAPES = { CRITICAL: "triangle", HIGH: "rectRot", MEDIUM: "rect", "Taken back": "crossRot" };
  const LOWER = "lower edge";

  function alerts(data, name, colours) {
    return {
      label: name,
      // A night whose value was taken away keeps its mark, at the edge of the usual range.
      data: data.nights.map((night, i) => (data.alerts[night] === name ? (data.values[i] ?? data.low[i]) : null)),
      showLine: false,
      pointStyle: SHAPES[name],
      pointRadius: 8,
      pointHoverRadius: 10,
      borderWidth: 2,
      borderColor: colours[name],
      backgroundColor: colours[name],
    };
  }

  function datasets(data, colours) {
    const edge = { borderColor: colours.edge, borderWidth: 1, borderDash: [4, 4], pointRadius: 0, spanGaps: true };
    const marks = Object.keys(SHAPES).filter((name) => Object.values(data.alerts).includes(name));
    return [
      ...marks.map((name) => alerts(data, name, colours)),
      { label: data.method, data: data.values, borderColor: colours.value, backgroundColor: colours.value, borderWidth: 2, pointRadius: 2, spanGaps: false },
      { ...edge, label: "own usual range", data: data.high, fill: "+1", backgroundColor: colours.band },
      { ...edge, label: LOWER, data: data.low },
    ];
  }

  function read(data, i) {
    const value = data.values[i] === null ? "no value" : `${data.values[i]} ms`;
    const usual = data.low[i] === null ? "own usual not known" : `own usual ${data.low[i]} to ${data.high[i]} ms`;
    const alert = data.alerts[data.nights[i]];
    return `${data.nights[i]}: ${value}, ${usual}${alert ? `, alert: ${alert}` : ""}`;
  }

  function options(data, colours) {
    const isNarrow = window.innerWidth < 640;
    function tick(value) {
      const night = this.getLabelForValue(value);
      return isNarrow ? night.slice(5) : night;
    }
    return {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { ticks: { callback: tick, color: colours.text, maxRotation: 0, autoSkip: true, maxTicksLimit: isNarrow ? 4 : 9 }, grid: { display: false } },
        y: { ticks: { color: colours.text }, grid: { color: colours.grid }, title: { display: true, text: `${data.method}, ms`, color: colours.text } },
      },
      plugins: {
        legend: { position: "bottom", labels: { color: colours.text, usePointStyle: true, filter: (item) => item.text !== LOWER } },
        tooltip: { displayColors: false, filter: (item, place) => place === 0, callbacks: { title: () => "", label: (item) => read(data, item.dataIndex) } },
      },
    };
  }

  function draw(canvas) {
    const data = JSON.parse(document.getElementById(canvas.dataset.hrv).textContent);
    const colours = document.documentElement.classList.contains("dark") ? THEMES.dark : THEMES.light;
    Chart.getChart(canvas)?.destroy();
    new Chart(canvas, { type: "line", data: { labels: data.nights, datasets: datasets(data, colours) }, options: options(data, colours) });
  }

  function walk(canvas) {
    const data = JSON.parse(document.getElementById(canvas.dataset.hrv).textContent);
    const place = document.querySelector(`[data-hrv-read="${canvas.dataset.hrv}"]`);
    let at = data.nights.length;
    canvas.addEventListener("keydown", function (event) {
      const last = data.nights.length - 1;
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      at = Math.max(0, Math.min(last, to));
      place.textContent = read(data, at);
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    const all = document.querySelectorAll("canvas[data-hrv]");
    all.forEach(draw);
    all.forEach(walk);
    new MutationObserver(() => all.forEach(draw)).observe(document.documentElement, { attributeFilter: ["class"] });
  });
})();
