"use strict";
// Three planes cut out of one sprite of coronal slices. Axes: 0 slice (front to back), 1 row, 2 column.
(() => {
  const one = (query) => document.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];
  const clamp = (x, n) => Math.min(n - 1, Math.max(0, x));
  const data = JSON.parse(one("#viewer-data").textContent), { shape, tile, mm, lesions } = data;
  const planes = { cor: [2, 1, 0], sag: [0, 1, 2], axi: [2, 0, 1] }; // across, down, moved by the slider
  const mips = { coronal: 2, sagittal: 0 };
  const at = shape.map((n) => n >> 1), pictures = {}, fine = 3;
  const ids = all("tr[data-lesion]").map((row) => row.dataset.lesion).filter((id) => lesions[id]);
  let shown = one("[data-sequence]").dataset.sequence, chosen = "";

  const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
  const pen = (canvas) => canvas.getContext("2d");
  function picture(name) { // decoded once, when first shown
    if (!pictures[name]) {
      const image = one(`img[data-sequence="${name}"]`);
      pictures[name] = sheet(image.naturalWidth, image.naturalHeight);
      pen(pictures[name]).drawImage(image, 0, 0);
    }
    return pictures[name];
  }

  function cut(to, name, plane) {
    const from = picture(name);
    const [s, row, column] = at, [slices, rows, columns] = shape;
    for (let n = 0; n < slices; n++) {
      const x = (n % data.across) * tile[1], y = Math.floor(n / data.across) * tile[0];
      if (plane === "sag") to.drawImage(from, x + column, y, 1, rows, n, 0, 1, rows);
      else if (plane === "axi") to.drawImage(from, x, y + row, columns, 1, 0, n, columns, 1);
      else if (n === s) to.drawImage(from, x, y, columns, rows, 0, 0, columns, rows);
    }
  }

  function outline(to, plane, width, height) {
    const filled = sheet(width, height);
    cut(pen(filled), "lesions", plane);
    to.imageSmoothingEnabled = false;
    const stamp = (x, y, mode, alpha) => {
      Object.assign(to, { globalCompositeOperation: mode, globalAlpha: alpha });
      to.drawImage(filled, x, y, width * fine, height * fine);
    };
    for (const [x, y] of [[3, 0], [-3, 0], [0, 3], [0, -3]]) stamp(x, y, "source-over", 1);
    stamp(0, 0, "destination-out", 1);
    stamp(0, 0, "source-over", 0.15);
    to.globalAlpha = 1;
  }

  function cross(to, [h, v, moved]) {
    const { width, height } = to.canvas, x = (at[h] + 0.5) * fine, y = (at[v] + 0.5) * fine, gap = 8 * fine;
    const mark = lesions[chosen];
    to.lineWidth = 2;
    to.strokeStyle = "rgba(90,200,220,.6)";
    to.stroke(new Path2D(`M0 ${y}H${x - gap}M${x + gap} ${y}H${width}M${x} 0V${y - gap}M${x} ${y + gap}V${height}`));
    if (!mark || Math.abs(mark[moved] - at[moved]) > mark[3]) return;
    to.strokeStyle = "#3ee07f";
    to.lineWidth = 4;
    to.beginPath();
    to.arc((mark[h] + 0.5) * fine, (mark[v] + 0.5) * fine, (mark[3] + 4) * fine, 0, 7);
    to.stroke();
  }

  function draw() {
    for (const [plane, axes] of Object.entries(planes)) {
      const { width, height } = one(`#${plane} .base`), to = pen(one(`#${plane} .marks`));
      cut(pen(one(`#${plane} .base`)), shown, plane);
      to.clearRect(0, 0, width * fine, height * fine);
      if (one("#overlay").checked) outline(to, plane, width, height);
      cross(to, axes);
      one(`#${plane} input`).value = at[axes[2]];
    }
  }

  function choose(id) {
    const mark = lesions[(chosen = id)];
    at.splice(0, 3, ...mark.slice(0, 3));
    all("[data-lesion]").forEach((item) => item.classList.toggle("on", item.dataset.lesion === id));
    one("#chosen").textContent = one(`#lesion-${id}`).dataset.summary;
    for (const [name, axis] of Object.entries(mips)) {
      const { width, height } = one(`#mip-${name}`).viewBox.baseVal, scale = width / shape[axis];
      const places = { cx: (mark[axis] + 0.5) * scale, cy: ((mark[1] + 0.5) * height) / shape[1], r: (mark[3] + 4) * scale };
      for (const key in places) one(`#mip-${name} circle`).setAttribute(key, places[key]);
    }
    draw();
  }

  function place(event, across, down) {
    const box = event.currentTarget.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [across, down].map((axis, n) => clamp(Math.floor(share[n] * shape[axis]), shape[axis]));
  }
  function nearest(axes, point) {
    const far = (id) => Math.hypot(...axes.map((axis, n) => lesions[id][axis] - point[n])) - lesions[id][3];
    const best = [...ids].sort((a, b) => far(a) - far(b))[0];
    if (best && far(best) < 3) choose(best);
    return best && far(best) < 3;
  }

  function listen() {
    for (const [plane, [h, v, moved]] of Object.entries(planes)) {
      const stack = one(`#${plane} .stack`), slider = one(`#${plane} input`);
      const move = (to) => { at[moved] = clamp(to, shape[moved]); draw(); };
      slider.oninput = () => move(+slider.value);
      stack.onclick = (event) => {
        slider.focus({ preventScroll: true });
        [at[h], at[v]] = place(event, h, v);
        nearest([0, 1, 2], at) || draw();
      };
      stack.onwheel = (event) => {
        if (document.activeElement !== slider) return; // the page scrolls until a picture was clicked
        event.preventDefault();
        move(at[moved] + Math.sign(event.deltaY));
      };
    }
    for (const name in mips) one(`#mip-${name}`).onclick = (event) => nearest([mips[name], 1], place(event, mips[name], 1));
    all("[data-lesion]").filter((item) => lesions[item.dataset.lesion]).forEach((item) => {
      item.onclick = () => { choose(item.dataset.lesion); if (item.tagName === "TR") one("#viewer").scrollIntoView(); };
    });
    all("button[data-sequence]").forEach((button) => {
      button.onclick = () => {
        shown = button.dataset.sequence;
        all("button[data-sequence]").forEach((other) => other.setAttribute("aria-pressed", other === button));
        draw();
      };
    });
    one("#overlay").onchange = draw;
    one("#brightness").oninput = one("#contrast").oninput = () => all(".base").forEach((canvas) => {
      canvas.style.filter = `brightness(${one("#brightness").value}%) contrast(${one("#contrast").value}%)`;
    });
  }

  function fit() {
    const [deep, tall, wide] = shape.map((n, axis) => n * mm[axis]);
    for (const [plane, [h, v, moved]] of Object.entries(planes)) {
      const [width, height] = [shape[h], shape[v]];
      Object.assign(one(`#${plane} .base`), { width, height });
      Object.assign(one(`#${plane} .marks`), { width: width * fine, height: height * fine });
      one(`#${plane} .stack`).style.aspectRatio = (width * mm[h]) / (height * mm[v]);
      one(`#${plane} input`).max = shape[moved] - 1;
    }
    one(".planes").style.gridTemplateColumns = `${wide}fr ${deep}fr ${wide}fr`;
    for (const [box, part, width] of [[".mip", ".films", wide + deep], [".viewer", ".planes", 2 * wide + deep]]) {
      one(box).style.flex = width;
      one(part).style.maxWidth = `calc(${width / tall} * 86vh)`; // the whole body fits on the screen
    }
    one("#mip-coronal").style.flex = wide;
    one("#mip-sagittal").style.flex = deep;
  }

  fit();
  addEventListener("load", () => {
    listen();
    const asked = location.hash.replace("#lesion-", "");
    ids.length ? choose(lesions[asked] ? asked : ids[0]) : draw();
    document.documentElement.dataset.ready = "yes";
  });
})();
