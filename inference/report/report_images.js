// Three planes through volumes that are read back from pictures of coronal slices, and the rotating projection.
// Axes: 0 slice (front to back), 1 row (head to feet), 2 column (the patient's right to left).
function imageDesk(data, groupOf, said) {
  const one = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
  const { shape, tile, mm, lesions } = data, strides = [shape[1] * shape[2], shape[2], 1];
  const planes = { cor: [2, 1, 0], sag: [0, 1, 2], axi: [2, 0, 1] }; // across, down, moved by the slider
  const spins = { front: 0, side: data.spin.views / 2 }; // views turned further than the slider says
  const at = shape.map((n) => n >> 1), volumes = {}, fine = 3;
  const labels = new Uint16Array(shape[0] * strides[0]), voxelsOf = {};
  const windows = structuredClone(data.windows);
  const colours = [[0, 0, 0], [224, 36, 52], [240, 150, 0], [32, 120, 225]];
  let shown = Object.keys(windows)[0], chosen = "", turned = 0, timer = 0;

  const clamp = (x, n) => Math.min(n - 1, Math.max(0, x));
  const sheet = (width, height) => Object.assign(document.createElement("canvas"), { width, height });
  const pen = (canvas) => canvas.getContext("2d", { willReadFrequently: true });

  for (const [id, runs] of Object.entries(data.runs)) {
    const voxels = (voxelsOf[id] = []);
    for (let n = 0, place = 0; n < runs.length; n += 2) {
      place += runs[n];
      for (let left = runs[n + 1]; left; left--, place++) {
        labels[place] = +id;
        voxels.push(place);
      }
    }
  }

  function volume(name) { // decoded once, when first shown
    if (volumes[name]) return volumes[name];
    const image = one(`img[data-sequence="${name}"]`), { naturalWidth: width, naturalHeight: height } = image;
    const to = pen(sheet(width, height)), [slices, rows, columns] = shape;
    to.drawImage(image, 0, 0);
    const { data: pixels } = to.getImageData(0, 0, width, height), grey = new Uint8Array(labels.length);
    for (let s = 0, place = 0; s < slices; s++) {
      const x = (s % data.across) * tile[1], y = Math.floor(s / data.across) * tile[0];
      for (let row = 0; row < rows; row++) {
        for (let column = 0, from = 4 * ((y + row) * width + x); column < columns; column++, from += 4) grey[place++] = pixels[from];
      }
    }
    return (volumes[name] = grey);
  }

  function greyscale(name) { // grey on the screen for each grey value in the picture
    const { low, high, is_inverted } = windows[name], { coded } = data.windows[name];
    return Uint8ClampedArray.from({ length: 256 }, (_, value) => {
      const share = ((value / 255) * coded - low) / Math.max(high - low, 1e-6);
      return 255 * Math.min(1, Math.max(0, is_inverted ? 1 - share : share));
    });
  }

  function slice(axes, paint) { // calls paint(place in the volume, place in the pixels)
    const [h, v, moved] = axes;
    for (let y = 0, to = 0; y < shape[v]; y++) {
      for (let x = 0, from = at[moved] * strides[moved] + y * strides[v]; x < shape[h]; x++, from += strides[h], to += 4) paint(from, to);
    }
  }

  function drawPlane(plane) {
    const axes = planes[plane], base = one(`#${plane} .base`), to = pen(base), { width, height } = base;
    const picture = to.createImageData(width, height), { data: pixels } = picture, grey = volume(shown), scale = greyscale(shown);
    slice(axes, (from, n) => {
      pixels[n] = pixels[n + 1] = pixels[n + 2] = scale[grey[from]];
      pixels[n + 3] = 255;
    });
    to.putImageData(picture, 0, 0);
    const marks = pen(one(`#${plane} .marks`));
    marks.clearRect(0, 0, width * fine, height * fine);
    if (one("#overlay").checked) {
      const filled = to.createImageData(width, height);
      slice(axes, (from, n) => labels[from] && colour(filled.data, n, labels[from]));
      outline(marks, filled, 0.15);
    }
    cross(marks, axes);
    one(`#${plane} input`).value = at[axes[2]];
  }

  function colour(pixels, n, id) {
    pixels.set(colours[groupOf(id)], n);
    pixels[n + 3] = 255;
  }

  function outline(to, filled, inside) {
    const { width, height } = filled, from = sheet(width, height);
    pen(from).putImageData(filled, 0, 0);
    to.imageSmoothingEnabled = false;
    const stamp = (x, y, mode, alpha) => {
      Object.assign(to, { globalCompositeOperation: mode, globalAlpha: alpha });
      to.drawImage(from, x, y, width * fine, height * fine);
    };
    for (const [x, y] of [[fine, 0], [-fine, 0], [0, fine], [0, -fine]]) stamp(x, y, "source-over", 1);
    stamp(0, 0, "destination-out", 1);
    stamp(0, 0, "source-over", inside);
    to.globalAlpha = 1;
  }

  function cross(to, [h, v, moved]) {
    const { width, height } = to.canvas, x = (at[h] + 0.5) * fine, y = (at[v] + 0.5) * fine, gap = 8 * fine;
    const mark = lesions[chosen];
    to.lineWidth = 2;
    to.strokeStyle = "rgba(90,200,220,.6)";
    to.stroke(new Path2D(`M0 ${y}H${x - gap}M${x + gap} ${y}H${width}M${x} 0V${y - gap}M${x} ${y + gap}V${height}`));
    if (!mark || Math.abs(mark[moved] - at[moved]) > mark[3]) return;
    ring(to, (mark[h] + 0.5) * fine, (mark[v] + 0.5) * fine, (mark[3] + 4) * fine);
  }

  function ring(to, x, y, radius) {
    to.strokeStyle = "#14a653";
    to.lineWidth = 4;
    to.beginPath();
    to.arc(x, y, radius, 0, 7);
    to.stroke();
  }

  function across(place, view) { // column of a view on which a voxel falls, the same sum as in pictures_rotation.py
    const angle = (Math.PI * view) / data.spin.views;
    const back = Math.floor(place / strides[0]), left = place % strides[1];
    const x = ((shape[2] - 1) / 2 - left) * mm[2], y = ((shape[0] - 1) / 2 - back) * mm[0];
    return Math.round(-(x * Math.cos(angle) + y * Math.sin(angle)) / data.spin.step + (data.spin.columns - 1) / 2);
  }

  function drawSpin(name) {
    const { views, rows, columns } = data.spin, view = (turned + spins[name]) % (2 * views), mirrored = view >= views;
    const base = pen(one(`#spin-${name} .base`)), marks = pen(one(`#spin-${name} .marks`));
    base.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? columns : 0, 0);
    base.drawImage(one("#spin-views"), (view % views) * columns, 0, columns, rows, 0, 0, columns, rows);
    marks.clearRect(0, 0, columns * fine, rows * fine);
    if (one("#outlines").checked) {
      const filled = marks.createImageData(columns, rows);
      for (const id of data.order) { // the surest are drawn last, on top
        for (const place of voxelsOf[id] ?? []) colour(filled.data, 4 * (Math.floor((place % strides[0]) / strides[1]) * columns + across(place, view)), id);
      }
      outline(marks, filled, 0.1);
    }
    const mark = lesions[chosen];
    if (!mark) return;
    const place = mark[0] * strides[0] + mark[1] * strides[1] + mark[2];
    ring(marks, (across(place, view) + 0.5) * fine, (mark[1] + 0.5) * fine, (mark[3] + 4) * fine);
  }

  function drawSpins() {
    Object.keys(spins).forEach(drawSpin);
    const degrees = Math.round((180 * turned) / data.spin.views);
    one("#turn").value = turned;
    one("#turn").setAttribute("aria-valuetext", said.degrees.replace("{degrees}", degrees));
    const quarter = data.spin.views / 2, sides = [["R", "L"], ["A", "P"], ["L", "R"], ["P", "A"]];
    Object.keys(spins).forEach((name, n) => {
      const pair = turned % quarter ? ["", ""] : sides[(turned / quarter + n) % 4];
      all(`#spin-${name} .sides span`).forEach((side, end) => { side.textContent = pair[end]; });
    });
  }

  function draw() {
    Object.keys(planes).forEach(drawPlane);
    drawSpins();
    tellWindow();
  }

  function choose(id) {
    if (!lesions[id]) return;
    chosen = id;
    at.splice(0, 3, ...lesions[id].slice(0, 3));
    draw();
  }

  function tellWindow() {
    const { low, high, is_inverted } = windows[shown], { coded, unit } = data.windows[shown];
    const scale = unit ? 1 : 100 / coded, name = (value) => `${Math.round(value * scale)} ${unit || "%"}`;
    const values = { width: high - low, level: (high + low) / 2 };
    for (const [part, value] of Object.entries(values)) {
      const slider = one(`#${part}`);
      slider.value = (1000 * value) / coded;
      slider.setAttribute("aria-valuetext", name(value));
      one(`#${part}-value`).textContent = name(value);
    }
    one("#inverted").checked = is_inverted;
    one("#window-of").textContent = said.sequences[shown];
  }

  function setWindow() {
    const { coded } = data.windows[shown], width = (+one("#width").value * coded) / 1000, level = (+one("#level").value * coded) / 1000;
    Object.assign(windows[shown], { low: level - width / 2, high: level + width / 2, is_inverted: one("#inverted").checked });
    Object.keys(planes).forEach(drawPlane);
    tellWindow();
  }

  function show(name) {
    shown = name;
    all("button[data-sequence]").forEach((button) => button.setAttribute("aria-pressed", button.dataset.sequence === name));
    draw();
  }

  function turn(to) {
    turned = (to + 2 * data.spin.views) % (2 * data.spin.views);
    drawSpins();
  }
  function rotate(is) {
    clearInterval(timer);
    if (is) timer = setInterval(() => turn(turned + 1), 110);
    one("#rotate").setAttribute("aria-pressed", is);
  }

  function fit() {
    const [deep, tall, wide] = shape.map((n, axis) => n * mm[axis]), { rows, columns, step } = data.spin;
    for (const [plane, [h, v, moved]] of Object.entries(planes)) {
      const [width, height] = [shape[h], shape[v]];
      Object.assign(one(`#${plane} .base`), { width, height });
      Object.assign(one(`#${plane} .marks`), { width: width * fine, height: height * fine });
      one(`#${plane} .stack`).style.aspectRatio = (width * mm[h]) / (height * mm[v]);
      one(`#${plane} input`).max = shape[moved] - 1;
    }
    for (const name in spins) {
      Object.assign(one(`#spin-${name} .base`), { width: columns, height: rows });
      Object.assign(one(`#spin-${name} .marks`), { width: columns * fine, height: rows * fine });
      one(`#spin-${name} .stack`).style.aspectRatio = (columns * step) / tall;
    }
    one(".planes").style.gridTemplateColumns = `${wide}fr ${deep}fr ${wide}fr`;
    for (const [box, part, width] of [[".mip", ".films", 1.5 * columns * step], [".viewer", ".planes", 2 * wide + deep]]) {
      one(box).style.flex = width;
      one(part).style.maxWidth = `calc(${(part === ".films" ? 2 * columns * step : width) / tall} * 82vh)`; // the whole body fits
    }
  }

  function point(event, across, down) { // where on a picture, in voxels
    const box = event.currentTarget.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [across, down].map((n, axis) => clamp(Math.floor(share[axis] * n), n));
  }
  function nearest(distance) { // the lesion whose edge is nearest, if it is very near
    const best = Object.keys(lesions).sort((a, b) => distance(a) - distance(b))[0];
    return best !== undefined && distance(best) < 3 ? best : null;
  }

  function listen(chooseLesion) {
    for (const [plane, [h, v, moved]] of Object.entries(planes)) {
      const stack = one(`#${plane} .stack`), slider = one(`#${plane} input`);
      const move = (to) => { at[moved] = clamp(to, shape[moved]); draw(); };
      slider.oninput = () => move(+slider.value);
      stack.onclick = (event) => {
        slider.focus({ preventScroll: true });
        [at[h], at[v]] = point(event, shape[h], shape[v]);
        const found = nearest((id) => Math.hypot(...[0, 1, 2].map((axis) => lesions[id][axis] - at[axis])) - lesions[id][3]);
        found === null ? draw() : chooseLesion(found);
      };
      stack.onwheel = (event) => {
        if (document.activeElement !== slider) return; // the page scrolls until a picture was clicked
        event.preventDefault();
        move(at[moved] + Math.sign(event.deltaY));
      };
    }
    for (const name in spins) {
      one(`#spin-${name} .stack`).onclick = (event) => {
        const { columns, rows } = data.spin, [x, y] = point(event, columns, rows), view = (turned + spins[name]) % (2 * data.spin.views);
        const found = nearest((id) => {
          const [s, row, column, radius] = lesions[id];
          return Math.hypot(across(s * strides[0] + row * strides[1] + column, view) - x, row - y) - radius;
        });
        if (found !== null) chooseLesion(found);
      };
    }
    all("button[data-sequence]").forEach((button) => { button.onclick = () => show(button.dataset.sequence); });
    one("#overlay").onchange = one("#outlines").onchange = draw;
    one("#width").oninput = one("#level").oninput = one("#inverted").onchange = setWindow;
    one("#window-reset").onclick = () => { windows[shown] = { ...data.windows[shown] }; draw(); };
    one("#turn").oninput = () => { rotate(false); turn(+one("#turn").value); };
    one("#rotate").onclick = () => rotate(one("#rotate").getAttribute("aria-pressed") !== "true");
  }

  fit();
  return { choose, draw, listen, show };
}
