// Runs before anything is drawn, so that a chosen theme never flashes the other one. Everything else is a module.
document.documentElement.dataset.theme = localStorage.getItem("homespun-theme") ?? "system";
