document.getElementById("again").addEventListener("click", () => window.location.reload());

// keys go to the dashboard as soon as it is drawn, without a click
const focus = () => document.querySelector(".xterm-helper-textarea")?.focus();
new MutationObserver(() => document.body.classList.contains("-first-byte") && focus())
  .observe(document.body, { attributes: true, attributeFilter: ["class"] });
