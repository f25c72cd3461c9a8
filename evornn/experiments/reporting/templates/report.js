"use strict";
(() => {
  const { figures, templates } = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => templates[dark.matches ? "dark" : "light"];
  const drawn = new Set();

  function draw(box) {
    if (drawn.has(box)) return;
    drawn.add(box);
    const { data, layout } = figures[box.id];
    const narrow = box.clientWidth < 480 ? { font: { size: 11 }, legend: { ...layout.legend, font: { size: 10 } } } : {};
    Plotly.newPlot(box, data, { ...layout, ...narrow, template: theme() }, { responsive: true, displayModeBar: false });
  }

  const boxes = [...document.querySelectorAll(".chart")];
  const seen = new IntersectionObserver(
    entries => entries.filter(entry => entry.isIntersecting).forEach(entry => draw(entry.target)), { rootMargin: "600px" });
  boxes.forEach(box => seen.observe(box));
  const repaint = look => drawn.forEach(box => Plotly.relayout(box, { template: look }));
  dark.addEventListener("change", () => repaint(theme()));

  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(part => { part.open = true; });
    boxes.forEach(draw);
    repaint(templates.light);
    // Paper has another width: a view box lets the drawings shrink to it.
    document.querySelectorAll(".main-svg").forEach(svg =>
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`));
  });
  addEventListener("afterprint", () => {
    document.querySelectorAll(".main-svg").forEach(svg => svg.removeAttribute("viewBox"));
    repaint(theme());
  });
})();
