"use strict";
// Flip between runs and methods of a gallery. Without this script, all of them stand side by side.
for (const box of document.querySelectorAll("[data-flip]")) {
  const shown = [...box.querySelectorAll("[data-method]")];
  const chosen = {};
  const show = () => {
    for (const item of shown)
      item.hidden = Object.entries(chosen).some(([key, value]) => value !== "" && item.dataset[key] !== value);
  };
  const bar = document.createElement("div");
  bar.className = "flip";
  for (const [key, all] of [["method", ""], ["run", "all"]]) {
    const values = [...new Set(shown.map(item => item.dataset[key]).filter(value => value !== undefined))];
    if (values.length < 2) continue;
    const group = document.createElement("fieldset");
    group.appendChild(document.createElement("legend")).textContent = key === "run" ? "run" : "explanation";
    const options = all ? ["", ...values] : values;
    chosen[key] = options[0];
    for (const value of options) {
      const button = group.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = value || "side by side";
      button.setAttribute("aria-pressed", value === chosen[key]);
      button.addEventListener("click", () => {
        chosen[key] = value;
        for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", other === button);
        show();
      });
    }
    bar.append(group);
  }
  if (bar.children.length) box.prepend(bar);
  show();
}
