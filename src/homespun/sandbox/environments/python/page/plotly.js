// Draws each figure that the program showed, one below the other.
"use strict";
(async () => {
  const names = await (await fetch("figures.json")).json();
  for (const name of names) {
    const place = document.createElement("div");
    place.className = "figure";
    document.getElementById("figures").append(place);
    try {
      const { data, layout = {}, frames } = await (await fetch(name)).json();
      await Plotly.newPlot(place, { data, layout: { ...layout, autosize: !layout.width }, frames, config: { responsive: true } });
    } catch (error) {
      place.className = "error";
      place.textContent = `${name}: ${error.message}`;
      throw error;
    }
  }
})();
