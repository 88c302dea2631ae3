// Draws what changes on the dashboard. The server calls tempest.start when a browser connects (or reconnects) and
// tempest.take for every message after it.
"use strict";

window.tempest = (() => {
  const KNEE = 60; // seconds of age below which the axis is about linear
  const MOST_POINTS = 1600;
  const COLOURS = ["#4aa8ff", "#ffb02e", "#5fd38d", "#ff6b6b"];
  let layout = null;
  let time = [], frames = [], values = {};
  let large = null, axis = "age";
  let newest = null, drawing = null, drawAt = 0;

  const chartOf = (id) => getElement(id)?.chart;
  const age = (t) => -Math.log10(1 + Math.max(Date.now() / 1000 - t, 0) / KNEE);

  function ageText(x) {
    const s = KNEE * (10 ** -x - 1);
    if (s < 1) return "now";
    if (s < 90) return `-${Math.round(s)}s`;
    if (s < 5400) return `-${(s / 60).toFixed(s < 570 ? 1 : 0)}m`;
    if (s < 129600) return `-${(s / 3600).toFixed(s < 34200 ? 1 : 0)}h`;
    return `-${Math.round(s / 86400)}d`;
  }

  function count(v) {
    for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]])
      if (Math.abs(v) >= limit) return Number((v / limit).toPrecision(3)) + unit;
    return String(Math.abs(v) >= 100 ? Math.round(v) : Number(v.toPrecision(3)));
  }

  function duration(v) {
    const s = Math.round(v), pad = (n) => String(n).padStart(2, "0");
    return `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`;
  }

  // Writes a value in the format of the list of metrics.
  function text(v, form) {
    if (form === "count") return Math.abs(v) < 1000 ? v.toFixed(0) : count(v);
    if (form === "duration") return duration(v);
    const digits = Number(form.match(/\.(\d+)/)?.[1] ?? 2);
    if (form.endsWith("%")) return `${(100 * v).toFixed(digits)}%`;
    if (form.endsWith("e")) return v.toExponential(digits).replace(/([+-])(\d)$/, "$10$2");
    return form.startsWith(",") ? Math.round(v).toLocaleString("en-US") : v.toFixed(digits);
  }

  function drops(row) {
    const reasons = Object.entries(row).filter(([name, n]) => name.startsWith("collect/dropped_") && n > 0);
    return reasons.map(([name, n]) => `${name.slice("collect/dropped_".length)} ${n}`).join(", ");
  }

  function series(list, x) {
    return list.map(([label, metric], index) => {
      const ys = values[metric] || [];
      const data = [];
      for (let i = 0; i < time.length; i++) if (ys[i] != null) data.push([x(i), ys[i]]);
      return {
        name: label, type: "line", data, showSymbol: data.length < 2, connectNulls: true, animation: false,
        lineStyle: { width: 1.5 }, itemStyle: { color: COLOURS[index % COLOURS.length] },
      };
    });
  }

  function tooltip(heading) {
    return {
      trigger: "axis", confine: true,
      formatter: (points) => [heading(points[0].value[0]), ...points.map((p) => `${p.marker}${p.seriesName}: <b>${count(p.value[1])}</b>`)].join("<br>"),
    };
  }

  function drawSmall() {
    const xs = time.map(age);
    const least = Math.min(-0.3, xs.length ? xs[0] : 0);
    for (const { element, series: list } of Object.values(layout.charts)) {
      chartOf(element)?.setOption({
        grid: { left: 44, right: 10, top: list.length > 1 ? 20 : 6, bottom: 20 },
        legend: { show: list.length > 1, top: 0, itemHeight: 8, itemWidth: 14, textStyle: { fontSize: 10, color: "#888" } },
        tooltip: tooltip(ageText),
        xAxis: {
          type: "value", min: least, max: 0, splitNumber: 3, splitLine: { show: false }, axisLine: { onZero: false },
          axisLabel: { fontSize: 10, formatter: ageText, hideOverlap: true },
        },
        yAxis: { type: "value", scale: true, splitNumber: 2, axisLine: { onZero: false }, axisLabel: { fontSize: 10, formatter: count }, splitLine: { lineStyle: { opacity: 0.2 } } },
        series: series(list, (i) => xs[i]),
      });
    }
  }

  function drawLarge(fresh) {
    const chart = chartOf(layout.large);
    if (!chart || !document.getElementById("large-view").open) return;
    if (fresh) chart.resize();
    const { title, series: list } = layout.charts[large];
    document.getElementById("large-title").textContent = title;
    const byAge = axis === "age";
    chart.setOption({
      grid: { left: 60, right: 20, top: 40, bottom: 70 },
      legend: { top: 4, textStyle: { color: "#888" } },
      tooltip: tooltip(byAge ? ageText : count),
      xAxis: {
        type: "value", scale: true, max: byAge ? 0 : null, name: byAge ? "age (logarithmic)" : "frames", nameLocation: "middle", nameGap: 24, axisLine: { onZero: false },
        axisLabel: { formatter: byAge ? ageText : count },
      },
      yAxis: { type: "value", scale: true, axisLine: { onZero: false }, axisLabel: { formatter: count } },
      ...(fresh ? { dataZoom: [{ type: "inside" }, { type: "slider", labelFormatter: byAge ? ageText : count }, { type: "inside", yAxisIndex: 0 }] } : {}),
      series: series(list, byAge ? (i) => age(time[i]) : (i) => frames[i]),
    }, fresh);
  }

  function showRow(row) {
    const known = row.values;
    for (const [metric, form] of layout.cards) {
      if (known[metric] == null) continue;
      const reasons = metric === "collect/dropped" ? drops(known) : "";
      document.getElementById(`card-${metric}`).textContent = text(known[metric], form) + (reasons ? `: ${reasons}` : "");
    }
    const left = known["progress/seconds_left"];
    showStatus(`running ${duration(row.seconds)}` + (left == null ? "" : `, ${duration(left)} left`));
  }

  function showStatus(words) {
    document.getElementById("status").textContent = words;
  }

  function showBest(mean, best) {
    if (mean != null) document.getElementById("card-evaluation/mean").textContent = text(mean, ",.0f");
    if (best != null) document.getElementById("best").textContent = `best ${text(best, ",.0f")}`;
  }

  // Draws the rows that have arrived together: however fast they arrive, most of the browser's time stays free.
  function drawSoon() {
    drawing ??= setTimeout(() => {
      drawing = null;
      const start = performance.now();
      showRow(newest);
      drawSmall();
      drawLarge(false);
      const end = performance.now();
      drawAt = end + Math.max(5 * (end - start), 200);
    }, drawAt - performance.now());
  }

  function append(t, f, row) {
    time.push(t);
    frames.push(f);
    for (const name of Object.keys(row)) values[name] ??= Array(time.length - 1).fill(null);
    for (const [name, list] of Object.entries(values)) list.push(row[name] ?? null);
    if (time.length > MOST_POINTS) thin();
  }

  function thin() {
    const kept = [];
    let last = null;
    const width = -age(time[0]) / (MOST_POINTS / 2);
    time.forEach((t, i) => {
      const bin = Math.floor(-age(t) / width);
      if (bin === last) kept[kept.length - 1] = i;
      else kept.push(i);
      last = bin;
    });
    const pick = (list) => kept.map((i) => list[i]);
    time = pick(time);
    frames = pick(frames);
    for (const name of Object.keys(values)) values[name] = pick(values[name]);
  }

  function showEvent(event) {
    const list = document.getElementById("events");
    const line = document.createElement("div");
    line.textContent = `${new Date(event.time * 1000).toLocaleTimeString()}  [${count(event.frames)}]  ${event.text}`;
    list.prepend(line);
    while (list.childElementCount > 200) list.lastChild.remove();
  }

  function showPicture(picture) {
    document.getElementById("live").src = `data:image/jpeg;base64,${picture.jpeg}`;
    const overlay = document.getElementById("overlay");
    overlay.replaceChildren();
    const { lanes, enemies, attention } = picture;
    showHeat(enemies, attention);
    if (!attention || lanes.every((lane) => !lane)) return;
    const add = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      overlay.append(element);
    };
    enemies.forEach((enemy, slot) => {
      if (!enemy) return;
      let total = 0;
      lanes.forEach((lane, index) => {
        if (!lane) return;
        const weight = attention[index][slot];
        total += weight;
        if (weight > 0.15)
          add("line", { x1: lane[0], y1: lane[1], x2: enemy[0], y2: enemy[1], stroke: "#4aa8ff", "stroke-width": 0.001 + 0.002 * weight, "stroke-opacity": 0.7 * weight });
      });
      add("circle", { cx: enemy[0], cy: enemy[1], r: 0.01 + 0.02 * (total / lanes.length), fill: "none", stroke: "#ffb02e", "stroke-width": 0.004 });
    });
    lanes.forEach((lane, index) => {
      if (lane) add("circle", { cx: lane[0], cy: lane[1], r: 0.008, fill: "#4aa8ff", "fill-opacity": Math.max(...attention[index]) });
    });
  }

  // The attention as a heat map: a column per lane, a row per enemy slot in use.
  function showHeat(enemies, attention) {
    const slots = attention ? enemies.flatMap((enemy, slot) => (enemy ? [slot] : [])) : [];
    const heat = document.getElementById("heat");
    if (!slots.length) return heat.replaceChildren();
    const cell = (w) => `<td title="${w.toFixed(2)}" style="background:rgba(74,168,255,${w})"></td>`;
    const rows = slots.map((slot) => `<tr><th>${slot + 1}</th>${attention.map((lane) => cell(lane[slot])).join("")}</tr>`);
    const head = attention.map((_, lane) => `<th>${lane}</th>`).join("");
    heat.innerHTML = `<div>Attention of lanes (columns) to enemies (rows)</div><table><tr><th></th>${head}</tr>${rows.join("")}</table>`;
  }

  function take(message) {
    if (!layout) return;
    if (message.kind === "row") {
      append(message.time, message.frames, message.values);
      newest = message;
      drawSoon();
    } else if (message.kind === "event") {
      showEvent(message);
      if (message.text.startsWith("evaluating")) showStatus(message.text);
    } else if (message.kind === "evaluation") {
      append(message.time, message.frames, message.values);
      showEvent(message);
      showBest(message.result.mean, message.best);
      drawSmall();
    } else if (message.kind === "picture") showPicture(message);
  }

  function start(where, opening) {
    layout = where;
    ({ time, frames, values } = opening);
    document.getElementById("events").replaceChildren();
    opening.events.forEach(showEvent);
    if (opening.latest) showRow(opening.latest);
    showBest((values["evaluation/mean"] || []).filter((v) => v != null).at(-1), opening.best);
    const started = Date.now();
    const drawn = () => {
      const ready = Object.values(layout.charts).every(({ element }) => chartOf(element));
      if (ready || Date.now() - started > 5000) drawSmall();
      else setTimeout(drawn, 50);
      if (ready && opening.latest) showRow(opening.latest);
    };
    drawn();
  }

  function enlarge(key) {
    if (!layout) return;
    large = key;
    document.getElementById("large-view").showModal();
    drawLarge(true);
  }

  return {
    start, take, enlarge, text,
    axis: (which) => { axis = which; drawLarge(true); },
    get points() { return time.length; },
  };
})();

(function announce() {
  if (window.emitEvent && window.socket?.connected !== false && document.getElementById("events")) emitEvent("tempest_ready");
  else setTimeout(announce, 50);
})();
