// Draws the Mermaid charts of comments, one by one, so that a broken one does not hide the others.
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: "default" });
async function draw(source, index) {
  const box = document.createElement("div");
  try {
    const { svg } = await mermaid.render("chart-" + index, source.textContent);
    box.className = "chart";
    box.innerHTML = svg;
    source.replaceWith(box);
  } catch (error) {
    document.getElementById("dchart-" + index)?.remove();
    box.className = "chart-error";
    box.textContent = "Unable to render rich display\n\n" + error.message;
    source.before(box);
  }
}
(async () => {
  for (const details of document.querySelectorAll("details:has(pre.mermaid)")) {
    // A chart has no size in a closed <details>: GitHub draws it when it is opened.
    details.addEventListener("toggle", () => drawAll(details), { once: true });
  }
  await drawAll(document);
})();
async function drawAll(root) {
  for (const source of root.querySelectorAll("pre.mermaid")) {
    if (source.closest("details:not([open])") || source.dataset.drawn) continue;
    source.dataset.drawn = "yes";
    await draw(source, Math.random().toString(36).slice(2));
  }
}
