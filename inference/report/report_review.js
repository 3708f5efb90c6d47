"use strict";
// What `marrowmap revise` would say after a reader's decisions. No rule stands here: the tables come from the
// rules themselves (page_states.py); this file adds up, looks up, and spreads the count of lesions.
const recount = (() => {
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

  function kept(review, decisions) { // lesions that are not rejected, in the order of the report
    return Object.entries(review.lesions).flatMap(([id, lesion]) => {
      if (decisions[id] === "reject") return [];
      const state = lesion[decisions[id] === "accept" ? "accept" : "keep"];
      return state.certainty === "rejected" ? [] : [{ id, ...lesion, ...state }];
    });
  }

  function totals(review, lesions) {
    return Object.fromEntries(review.features.map((name, n) => [name, sum(lesions.map((lesion) => lesion.adds[n]))]));
  }

  function burden(review, lesions) {
    const regions = Object.keys(review.marrow_ml);
    const voxels = Object.fromEntries(regions.map((region) => [region, [0, 0]]));
    for (const { id } of lesions) {
      for (const [region, all, inside] of review.burden[id].voxels) {
        voxels[region][0] += all;
        voxels[region][1] += inside;
      }
    }
    const parts = regions.map((region) => {
      const [all, inside] = voxels[region], marrow = review.marrow_ml[region];
      const fraction = marrow ? (inside * review.voxel_ml) / marrow : null;
      return [region, { tumour_volume_ml: all * review.voxel_ml, marrow_fraction: fraction }];
    });
    const { "": whole, ...by_region } = Object.fromEntries(parts);
    return { ...whole, by_region, adc_um2_per_s: adcOf(review, lesions) };
  }

  function adcOf(review, lesions) {
    const values = Float64Array.from(lesions.flatMap(({ id }) => {
      let value = 0;
      return review.burden[id].adc.map((step) => (value += step));
    })).sort();
    const [low, high] = review.adc_range, plausible = values.filter((value) => value >= low && value <= high);
    if (!plausible.length) return { mean: null, median: null, p10: null, p90: null, histogram: null };
    const at = (share) => {
      const place = (plausible.length - 1) * share, under = Math.floor(place), over = Math.ceil(place);
      return plausible[under] + (plausible[over] - plausible[under]) * (place - under);
    };
    const mean = sum([...plausible]) / plausible.length;
    return { mean, median: at(0.5), p10: at(0.1), p90: at(0.9), histogram: histogram(review.edges, values) };
  }

  function histogram(edges, values) {
    if (!edges) return null;
    const counts = new Array(edges.length - 1).fill(0);
    const bin = (value) => Math.min(counts.length - 1, edges.findLastIndex((edge) => edge <= value));
    values.forEach((value) => counts[Math.max(0, bin(value))]++);
    return { edges_um2_per_s: edges, counts };
  }

  function patternOf(review, count) {
    const row = review.patterns[Math.min(count.pattern_certain, review.patterns.length - 1)];
    const isMany = row.nodules !== null && count.nodules >= row.nodules;
    const [label, diffuse_grade, ifEquivocal] = (isMany ? row.many : row.few)[count.pattern_equivocal ? 1 : 0];
    return { label, diffuse_grade, label_if_equivocal_count: ifEquivocal };
  }

  function marrowOf(review, count, pattern) {
    const isMany = review.micronodules !== null && count.small >= review.micronodules;
    const micro = pattern.label === "micronodular" || isMany;
    return review.marrows.findIndex((marrow) => marrow.grade === pattern.diffuse_grade && marrow.micro === micro);
  }

  // Probability of 0, 1, 2 ... lesions: independent but for what their exam shares, and those that were missed.
  function distribution(spread, probabilities, scope) {
    let total = new Array(probabilities.length + 1).fill(0);
    spread.shifts.forEach((shift, node) => {
      const odds = Math.exp(shift);
      const shifted = probabilities.map((p) => (p * odds) / (1 - p + p * odds));
      independent(shifted).forEach((share, number) => (total[number] += spread.weights[node] * share));
    });
    const mean = spread.missed[scope] + spread.missed_per_lesion * sum(probabilities);
    return mean > 0 ? convolve(total, negativeBinomial(mean, spread.missed_size)) : total;
  }
  const independent = (probabilities) => probabilities.reduce((all, p) => convolve(all, [1 - p, p]), [1]);
  function convolve(a, b) {
    const both = new Array(a.length + b.length - 1).fill(0);
    a.forEach((x, i) => b.forEach((y, j) => (both[i + j] += x * y)));
    return both;
  }
  function negativeBinomial(mean, size) { // cut where less than a millionth is left
    const share = mean / (mean + size), terms = [Math.exp(size * Math.log1p(-share))];
    let total = terms[0];
    for (let n = 1; total < 1 - 1e-6 && n < 400; n++) total += terms[n] = (terms[n - 1] * share * (n - 1 + size)) / n;
    return terms.map((term) => term / total);
  }

  function lookUp(review, rule, count, marrow) {
    const numbers = Object.entries(review.bands[rule]).map(([name, band]) => Math.min(count[name], band));
    return review.outcomes[rule][[...numbers, marrow].join()];
  }

  function probabilitiesOf(review, rule, lesions, count, marrow, outcome) {
    const scope = review.counted[rule];
    const known = lesions.filter((lesion) => !lesion.is_away && (scope !== "spine" || lesion.in_spine));
    if (!Object.keys(outcome.probabilities).length || known.some((lesion) => lesion.p === null)) return {};
    const shares = {};
    distribution(review.spread, known.map((lesion) => lesion.p), scope).forEach((share, number) => {
      const there = { ...count, sure: number, maybe: number, spine_sure: number, placeless: 0 };
      const said = review.cards[lookUp(review, rule, there, marrow)].outcome.probabilities;
      const value = Object.keys(said).find((name) => said[name] === 1);
      shares[value] = (shares[value] ?? 0) + share;
    });
    return Object.fromEntries(Object.entries(shares).map(([value, share]) => [value, Math.round(Math.min(share, 1) * 1e4) / 1e4]));
  }

  function warningsOf(review, rule, count) {
    const scope = review.counted[rule], of = (name) => count[scope === "spine" ? `spine_${name}` : name];
    if (!scope) return [];
    const numbers = { more: of("maybe") - of("sure"), near: of("near"), sure: of("sure") };
    return review.counting.flatMap(({ if: name, text }) => {
      if (name === "large_doubtful" && rule !== "rasche_large_lesions") return [];
      const places = name === "large_doubtful" ? { more: count.large_doubtful } : numbers;
      return (places[name] ?? places.more) ? [text.replace(/\{(\w+)\}/g, (all, place) => places[place])] : [];
    });
  }

  function stagesOf(review, lesions, count, marrow) {
    return Object.fromEntries(Object.keys(review.bands).map((rule) => {
      const place = lookUp(review, rule, count, marrow), { outcome, card } = review.cards[place];
      const inputs = card.inputs.map(([label, value], n) => [label, count[review.count_inputs[card.input_keys[n]]] ?? value]);
      return [rule, {
        ...outcome,
        probabilities: probabilitiesOf(review, rule, lesions, count, marrow, outcome),
        card: { ...card, inputs, warnings: [...card.warnings, ...warningsOf(review, rule, count)] },
      }];
    }));
  }

  return (review, decisions) => {
    const lesions = kept(review, decisions), count = totals(review, lesions), pattern = patternOf(review, count);
    const by_region = Object.fromEntries(Object.keys(review.marrow_ml).filter(Boolean).map((region) => [region, lesions.filter((lesion) => lesion.region === region).length]));
    return {
      lesions,
      counts: { visible: count.visible, active: count.active, focal_5mm: count.focal_5mm, equivocal: count.equivocal, by_region },
      burden: burden(review, lesions),
      pattern: { ...pattern, focal_certain: count.pattern_certain, focal_equivocal: count.pattern_equivocal, nodules_of_5_mm_or_less: count.nodules },
      staging: stagesOf(review, lesions, count, marrowOf(review, count, pattern)),
      biopsy: review.biopsy.filter(({ lesion }) => lesions.some(({ id, certainty }) => +id === lesion && certainty === "certain")).slice(0, review.biopsy_most),
    };
  };
})();
