// The page: lesions are chosen and decided on; whatever follows is counted again and written in place.
(() => {
  const one = (query) => document.querySelector(query), all = (query) => [...document.querySelectorAll(query)];
  const data = JSON.parse(one("#page-data").textContent), { review, said, lesions } = data;
  const decisions = {}, ids = all("tr[data-lesion]").map((row) => row.dataset.lesion);
  let chosen = "", isSaved = true, state = null;

  const stateOf = (id) => {
    const { keep, accept } = review.lesions?.[id] ?? { keep: lesions[id] };
    return decisions[id] === "accept" ? accept : decisions[id] === "reject" ? { ...keep, certainty: "rejected" } : keep;
  };
  const groupOf = (id) => {
    const { certainty, benign } = stateOf(id);
    return certainty === "rejected" || benign ? 3 : certainty === "equivocal" ? 2 : 1;
  };
  const desk = imageDesk(data.images, groupOf, said);

  const fill = (text, places) => text.replace(/\{(\w+)\}/g, (all, name) => places[name] ?? all);
  const number = (value, digits) => value.toFixed(digits).replace(".", said.decimal);
  const volume = (ml) => number(ml, ml < 10 ? 2 : 1);
  const share = (fraction) => `${number(100 * fraction, 1)} %`;
  const say = (query, text) => all(query).forEach((element) => { if (element.textContent !== String(text)) element.textContent = text; });
  const make = (name, text = "", className = "") => Object.assign(document.createElement(name), { textContent: text, className });

  function choose(id) {
    chosen = String(id);
    all("[data-lesion]").forEach((item) => item.classList.toggle("on", item.dataset.lesion === chosen));
    tellChosen();
    desk.choose(chosen);
  }
  function step(by) {
    const shown = ids.filter((id) => data.images.lesions[id]), next = shown[(shown.indexOf(chosen) + by + shown.length) % shown.length];
    if (next) choose(next);
  }

  function tellChosen() {
    const row = one(`#lesion-${chosen}`);
    if (!row) return;
    say("#chosen", `${row.dataset.place}\n${[row.querySelector(".chip").textContent, row.querySelector(".status").textContent, row.querySelector(".benign").textContent].filter(Boolean).join(", ")}`);
    all("#decide [data-decision]").forEach((button) => button.setAttribute("aria-pressed", decisions[chosen] === button.dataset.decision));
    if (one("#decide")) one("#decide").hidden = !review.lesions;
  }

  function decide(id, decision) { // the same again takes it back
    if (decisions[id] === decision) delete decisions[id];
    else decisions[id] = decision;
    isSaved = false;
    update();
  }

  function update() {
    state = recount(review, decisions);
    ids.forEach(writeLesion);
    writeFigures();
    writeRegions();
    writePattern();
    Object.entries(state.staging).forEach(([rule, result]) => writeCard(rule, result));
    writeNotices();
    writeBiopsy();
    writeBar();
    tellChosen();
    desk.draw();
  }

  function writeLesion(id) {
    const row = one(`#lesion-${id}`), group = `g${groupOf(id)}`, { certainty, benign } = stateOf(id);
    row.classList.toggle("rejected", certainty === "rejected");
    row.querySelector(".chip").textContent = said.certainty[certainty];
    row.querySelector(".benign").textContent = benign ? lesions[id].benign_words : "";
    [row.querySelector(".chip"), ...all(`button.pick[data-lesion="${id}"], #lesion-${id} th button`)].forEach((item) => {
      item.classList.remove("g1", "g2", "g3");
      item.classList.add(group);
    });
    row.querySelectorAll("[data-decision]").forEach((button) => button.setAttribute("aria-pressed", decisions[id] === button.dataset.decision));
  }

  function figure(key, value, note, unit) {
    say(`[data-figure=${key}] strong`, value);
    if (note !== undefined) say(`[data-figure=${key}] small`, note);
    if (unit !== undefined) say(`[data-figure=${key}] .unit`, unit);
  }
  function writeFigures() {
    const { counts, burden, pattern } = state, { median } = burden.adc_um2_per_s, grade = said.grades[pattern.diffuse_grade ?? ""];
    const part = burden.marrow_fraction === null ? said.no_marrow : fill(said.share, { share: precise(100 * burden.marrow_fraction) });
    figure("focal", counts.focal_5mm);
    figure("visible", counts.visible, fill(said.visible, counts));
    figure("volume", number(burden.tumour_volume_ml, 1), part);
    figure("adc", median === null ? said.none : median.toFixed(0), undefined, median === null ? "" : "µm²/s");
    figure("pattern", said.patterns[pattern.label], fill(said.grade, { grade }));
    say("#headline", headline(counts, pattern));
  }
  const precise = (value) => (value ? String(+value.toPrecision(2)).replace(".", said.decimal) : "0");
  function headline(counts, pattern) {
    const key = `${pattern.label}|${pattern.diffuse_grade ?? ""}`, shown = state.lesions;
    if (!shown.length) return said.nothing[key];
    const largest = shown.reduce((best, lesion) => (lesions[lesion.id].mm > lesions[best.id].mm ? lesion : best));
    const places = { count: shown.length, focal: counts.focal_5mm, size: lesions[largest.id].size };
    return [fill(shown.length === 1 ? said.one : said.many, places), said.diffuse[key]].filter(Boolean).join(" ");
  }

  function writeRegions() {
    const { by_region } = state.burden, top = Math.max(...Object.values(by_region).map((part) => part.tumour_volume_ml)) || 1;
    for (const [region, { tumour_volume_ml: ml, marrow_fraction: fraction }] of Object.entries(by_region)) {
      const band = ml > 0 ? 1 + said.bands.filter((limit) => (fraction ?? 0) >= limit).length : 0, row = `tr[data-region=${region}]`;
      say(`${row} .count`, state.counts.by_region[region]);
      say(`${row} .volume`, volume(ml));
      say(`${row} .fraction`, fraction === null ? "–" : share(fraction));
      one(`${row} .bar`).setAttribute("width", (100 * ml) / top);
      all(`#body [data-region=${region}]`).forEach((part) => part.setAttribute("class", part.getAttribute("class").replace(/\bb\d\b/, `b${band}`)));
      say(`#body text[data-region=${region}]`, ml > 0 ? `${volume(ml)} ml` : "");
    }
    say("#body-words", Object.entries(by_region).filter(([, part]) => part.tumour_volume_ml > 0).map(([region, part]) => `${said.regions[region]} ${volume(part.tumour_volume_ml)} ml`).join("; ") || said.none);
  }

  function writePattern() {
    const { pattern } = state, { histogram } = state.burden.adc_um2_per_s, top = histogram ? Math.max(...histogram.counts, 1) : 1;
    say("#pattern-words", fill(said.pattern_line, { pattern: said.patterns[pattern.label], grade: said.grades[pattern.diffuse_grade ?? ""] }));
    for (const key of ["focal_certain", "focal_equivocal", "nodules_of_5_mm_or_less"]) say(`[data-evidence=${key}]`, pattern[key]);
    say("[data-evidence=label_if_equivocal_count]", said.evidence_patterns[pattern.label_if_equivocal_count]);
    all(".histogram rect").forEach((bar, n) => {
      const height = histogram ? (100 * histogram.counts[n]) / top : 0;
      bar.setAttribute("y", 100 - height);
      bar.setAttribute("height", height);
    });
  }

  function writeCard(rule, { card, probabilities }) {
    const box = one(`[data-rule=${rule}]`);
    if (!box) return;
    box.className = `card ${card.class}`;
    const value = make("p", card.value, "value");
    if (card.status !== card.value) value.append(make("span", card.status, "chip"));
    const parts = [value];
    if (card.candidates) parts.push(make("p", fill(said.still, { candidates: card.candidates }), "still"));
    if (Object.keys(probabilities).length) parts.push(barsOf(rule, probabilities));
    parts.push(...card.warnings.map((text) => make("p", text, "warn")));
    if (card.missing) {
      const missing = make("p", ` ${card.missing}`, "missing");
      missing.prepend(make("b", said.missing));
      parts.push(missing);
    }
    if (card.inputs.length) parts.push(factsOf(card.inputs));
    box.querySelector(".said").replaceChildren(...parts);
  }
  function barsOf(rule, probabilities) {
    const list = make("dl", "", "bars");
    for (const [value, part] of Object.entries(probabilities)) {
      const bar = one("#bar").content.firstElementChild.cloneNode(true);
      bar.querySelector("dt").textContent = said.values[rule]?.[value] ?? value;
      bar.querySelector("dd span").textContent = `${(100 * part).toFixed(0)} %`;
      bar.querySelector("rect:last-child").setAttribute("width", 100 * part);
      list.append(bar);
    }
    return list;
  }
  function factsOf(pairs) {
    const list = make("dl", "", "facts");
    list.setAttribute("aria-label", said.inputs);
    for (const pair of pairs) {
      const line = make("div");
      line.append(make("dt", pair[0]), make("dd", pair[1]));
      list.append(line);
    }
    return list;
  }

  function writeNotices() {
    const away = state.lesions.filter((lesion) => lesion.is_away);
    all("[data-about]").forEach((line) => { line.hidden = !state.lesions.some(({ id }) => id === line.dataset.about); });
    all("[data-code=away_from_bone]").forEach((line) => {
      line.hidden = !away.length;
      if (said.away.one) say("[data-code=away_from_bone] span", away.length === 1 ? fill(said.away.one, { id: away[0].id }) : fill(said.away.many, { count: away.length }));
    });
    all("[data-code=diffuse_grade_unknown]").forEach((line) => { line.hidden = state.pattern.diffuse_grade !== null; });
  }
  function writeBiopsy() {
    const list = one("#biopsy ul");
    one("#biopsy").hidden = !state.biopsy.length;
    list.replaceChildren(...state.biopsy.map(({ text }) => make("li", text)));
  }

  function writeBar() {
    const rejected = ids.filter((id) => decisions[id] === "reject"), accepted = ids.filter((id) => decisions[id] === "accept");
    const any = rejected.length + accepted.length > 0;
    one("#decisions").hidden = !any;
    document.body.classList.toggle("decided", any);
    say("#decisions-words", fill(isSaved ? said.decided_saved : said.decided, { rejected: rejected.length, accepted: accepted.length }));
  }
  function decisionFile() {
    const entries = ids.filter((id) => decisions[id]).map((id) => ({ lesion: +id, decision: decisions[id] }));
    const { study_instance_uid, findings } = review;
    return { schema: said.decisions_schema, study_instance_uid, findings, saved: new Date().toISOString(), decisions: entries };
  }
  function save() {
    const blob = new Blob([`${JSON.stringify(decisionFile(), null, 2)}\n`], { type: "application/json" });
    const link = Object.assign(make("a"), { href: URL.createObjectURL(blob), download: "decisions.json" });
    document.body.append(link); // Firefox follows a link in the page only
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    isSaved = true;
    writeBar();
  }
  function clear() {
    Object.keys(decisions).forEach((id) => delete decisions[id]);
    isSaved = true;
    update();
  }

  function keys(event) { // single letters work within the images and the lesion table only
    if (event.ctrlKey || event.altKey || event.metaKey || !event.target.closest("#images, #lesions")) return;
    const acts = { n: () => step(1), p: () => step(-1), a: () => chosen && review.lesions && decide(chosen, "accept"), r: () => chosen && review.lesions && decide(chosen, "reject") };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  function listen() {
    desk.listen(choose);
    all("button[data-lesion], tr[data-lesion]").forEach((item) => {
      item.onclick = (event) => {
        if (event.target.closest("[data-decision]")) return;
        choose(item.dataset.lesion);
        if (item.closest("table")) one("#viewer").scrollIntoView({ block: "nearest" });
      };
    });
    all("[data-decision]").forEach((button) => { button.onclick = () => decide(button.closest("tr")?.dataset.lesion ?? chosen, button.dataset.decision); });
    if (one("#decisions")) {
      one("#save").onclick = save;
      one("#clear").onclick = clear;
    }
    addEventListener("keydown", keys);
    addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });
    addEventListener("hashchange", () => choose(location.hash.replace("#lesion-", "")));
  }

  addEventListener("load", () => {
    listen();
    const asked = location.hash.replace("#lesion-", ""), shown = ids.filter((id) => data.images.lesions[id]);
    shown.length ? choose(shown.includes(asked) ? asked : shown[0]) : desk.draw();
    document.documentElement.dataset.ready = "yes";
  });
  // For tests and for whoever wants the numbers: what the page would say after other decisions.
  globalThis.marrowmap = { recount: (others) => recount(review, others), decide, decisionFile, state: () => state };
})();
