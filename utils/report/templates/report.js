"use strict";
const plots = JSON.parse(document.getElementById("plots").textContent);
const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };

// the style sheet colours texts and lines, since it knows whether the page is light, dark or paper
function styled(layout) {
  const title = layout.title && { ...layout.title, font: { size: 14 }, x: 0, xanchor: "left", xref: "paper" };
  return {
    ...layout, ...(title && { title }), xaxis: { automargin: true, ...layout.xaxis }, yaxis: { automargin: true, ...layout.yaxis },
    font: { family: "inherit", size: 12 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 16, t: title ? 40 : 16, b: 44 }, autosize: true,
  };
}

// titles of the best-known movies that fit beside each other into what is shown of the map
function label(place) {
  const index = place.data.findIndex((trace) => trace.meta === "labels");
  if (index < 0) return;
  const { x, y, customdata } = place.data[index];
  const { xaxis, yaxis } = place._fullLayout;
  const taken = (place.layout.annotations ?? []).map(({ x, y, text }) => ({ left: xaxis.l2p(x), top: yaxis.l2p(y) - 16, half: text.length * 3.5 }));
  const genres = taken.length, text = customdata.map(() => " ");
  const most = Math.max(8, Math.round(xaxis._length * yaxis._length / 12000));
  for (let i = 0; i < x.length && taken.length < most + genres; i++) {
    const left = xaxis.l2p(x[i]), top = yaxis.l2p(y[i]) - 12, half = customdata[i].length * 3.1 + 4;
    const inside = left > half && left < xaxis._length - half && top > 9 && top < yaxis._length - 9;
    if (!inside || taken.some((other) => Math.abs(other.left - left) < other.half + half && Math.abs(other.top - top) < 17)) continue;
    taken.push({ left, top, half });
    text[i] = customdata[i];
  }
  return Plotly.restyle(place, { text: [text] }, [index]);
}

async function draw(place) {
  const plot = plots[place.id];
  await Plotly.newPlot(place, plot.data, styled(plot.layout), config);
  await label(place);
  place.on("plotly_relayout", () => label(place));
}

for (const button of document.querySelectorAll(".switch button")) {
  button.addEventListener("click", () => {
    const place = document.getElementById(button.dataset.for);
    for (const other of button.parentElement.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
    const shown = place.data.map((trace) => !["genre", "decade"].includes(trace.meta) || trace.meta === button.dataset.by);
    Plotly.restyle(place, { visible: shown });
  });
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  // paper has another width than the window, and the plots keep the size they were drawn in
  for (const grid of document.querySelectorAll(".plots")) grid.style.gridTemplateColumns = getComputedStyle(grid).gridTemplateColumns;
});
addEventListener("afterprint", () => {
  for (const grid of document.querySelectorAll(".plots")) grid.style.gridTemplateColumns = "";
});
Promise.all([...document.querySelectorAll(".plot")].map(draw)).then(() => { document.body.dataset.drawn = "yes"; });
