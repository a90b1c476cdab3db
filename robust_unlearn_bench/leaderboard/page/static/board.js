(() => {
  "use strict";
  const form = document.getElementById("filters");
  if (!form) return;
  const panel = document.getElementById("compare");
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const LONG = 100; // rows of a part that are laid out unless all are asked for: layout is what costs time

  const boards = [...document.querySelectorAll(".board")].map((section) => {
    const table = section.querySelector("table.main");
    const heads = [...table.tHead.rows[0].cells];
    const bodies = [...table.tBodies].map((body) => ({
      body,
      rows: [...body.rows].filter((row) => row.dataset.id),
      order: [],
    }));
    for (const part of bodies) part.order = part.rows;
    const more = make("button", "", { type: "button", class: "more" });
    more.addEventListener("click", () => go({ all: "1" }));
    section.querySelector(".scroll").after(more);
    return { section, table, heads, bodies, more, suite: section.dataset.suite, sorted: " " };
  });
  const rowById = new Map(boards.flatMap((b) => b.bodies.flatMap((t) => t.rows.map((row) => [row.dataset.id, { row, board: b }]))));
  const fields = ["q", "suite", "attack", "grade", "objective", "tier", "base"].filter((name) => form.elements[name]);
  const NOTHING = { sort: "", dir: "", all: "", cmp: [] };
  let state = { ...NOTHING };

  // --- the address is the state -----------------------------------------------------------------------------------
  const read = () => {
    const given = location.hash.startsWith("#?") ? location.hash.slice(1) : location.search;
    const query = new URLSearchParams(given);
    state = { ...NOTHING, sort: query.get("sort") || "", dir: query.get("dir") || "", all: query.get("all") || "" };
    state.cmp = (query.get("cmp") || "").split(".").filter((id) => rowById.has(id));
    for (const name of fields) state[name] = query.get(name) || "";
  };
  const write = (replace) => {
    const query = new URLSearchParams();
    for (const name of [...fields, "sort", "dir", "all"]) if (state[name]) query.set(name, state[name]);
    if (state.cmp.length) query.set("cmp", state.cmp.join("."));
    const text = query.toString() ? "?" + query : location.pathname;
    const change = replace ? "replaceState" : "pushState";
    try {
      history[change](null, "", text);
    } catch {
      history[change](null, "", query.toString() ? "#?" + query : "#");
    }
  };

  // --- sorting: typed, missing last either way, stable --------------------------------------------------------------
  const value = (row, index, numeric) => {
    const text = row.cells[index].textContent.trim();
    if (!numeric) return text === "–" ? "" : text.toLowerCase();
    const beyond = text.startsWith(">"); // "> 50" comes after 50
    const number = parseFloat(text.replace(">", ""));
    return Number.isNaN(number) ? null : number + (beyond ? 0.5 : 0);
  };
  const sortBoard = (board) => {
    const index = board.heads.findIndex((head) => head.dataset.key === state.sort);
    board.heads.forEach((head, i) => {
      if (i === index) head.setAttribute("aria-sort", state.dir === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const numeric = index >= 0 && /\b[nh]\b/.test(board.heads[index].className);
    const order = `${state.sort} ${state.dir}`;
    if (order === board.sorted) return;
    board.sorted = order;
    const sign = state.dir === "asc" ? 1 : -1;
    for (const part of board.bodies) {
      const { body, rows } = part;
      const lines = rows.map((row) => [row, index < 0 ? 0 : value(row, index, numeric)]);
      if (index >= 0)
        lines.sort(([, a], [, b]) => {
          if (a === null || b === null || a === "" || b === "") return (a === null || a === "") - (b === null || b === "");
          return sign * (a < b ? -1 : a > b ? 1 : 0);
        });
      part.order = lines.map(([row]) => row);
      body.append(...part.order);
    }
  };

  // --- filters -----------------------------------------------------------------------------------------------------
  const facts = new Map(); // row → what it is filtered by
  const factsOf = (row) => {
    if (!facts.has(row))
      facts.set(row, {
        grade: row.querySelector(".badge").textContent.trim().split(" ")[1],
        objective: row.dataset.objective,
        tier: row.querySelector("i").textContent,
        base: row.dataset.base,
        text: row.textContent.toLowerCase(),
      });
    return facts.get(row);
  };
  const asked = ["grade", "objective", "tier", "base"];
  const matches = (row) =>
    asked.every((name) => !state[name] || factsOf(row)[name] === state[name]) &&
    (!state.q || factsOf(row).text.includes(state.q.toLowerCase()));
  const pickable = (row) => {
    if (row.cells[0].firstElementChild) return;
    const name = row.querySelector("th a").textContent;
    row.cells[0].prepend(make("input", undefined, { type: "checkbox", class: "pick", value: row.dataset.id, "aria-label": `Compare ${name}` }));
  };
  const filterBoard = (board) => {
    board.section.hidden = Boolean(state.suite) && board.suite !== state.suite;
    let shown = 0;
    let rest = 0;
    for (const { body, order } of board.bodies) {
      let here = 0;
      for (const row of order) {
        const keep = matches(row);
        here += keep;
        const show = keep && (here <= LONG || state.all !== "");
        if (row.hidden === show) row.hidden = !show;
        if (show) pickable(row);
        else rest += keep;
      }
      body.hidden = here === 0;
      shown += here;
    }
    board.table.classList.add("ready");
    board.more.hidden = rest === 0;
    board.more.textContent = `Show ${rest} more`;
    board.heads.forEach((head, i) => {
      if (!head.dataset.key.startsWith("a:")) return;
      const hide = Boolean(state.attack) && head.dataset.key !== "a:" + state.attack;
      if (head.hidden === hide) return;
      head.hidden = hide;
      for (const { rows } of board.bodies) for (const row of rows) row.cells[i].hidden = hide;
    });
    return board.section.hidden ? 0 : shown;
  };

  // --- comparison --------------------------------------------------------------------------------------------------
  const showComparison = () => {
    panel.replaceChildren();
    panel.hidden = state.cmp.length === 0;
    for (const box of document.querySelectorAll("input.pick")) box.checked = state.cmp.includes(box.value);
    if (panel.hidden) return;
    const chosen = state.cmp.map((id) => rowById.get(id));
    const board = chosen[0].board;
    const same = chosen.every((c) => c.board === board);
    const pair = same && chosen.length === 2;
    panel.append(make("h2", "Compare"));
    const table = make("table");
    const head = table.createTHead().insertRow();
    head.append(make("th", "percent", { scope: "col" }));
    for (const { row } of chosen) head.append(make("th", row.querySelector("th a").textContent, { scope: "col", class: "n" }));
    if (pair) head.append(make("th", "difference", { scope: "col", class: "n" }));
    const body = table.createTBody();
    board.heads.forEach((h, i) => {
      if (!/\b[nh]\b/.test(h.className) || h.dataset.key === "rank") return;
      const line = body.insertRow();
      line.append(make("th", (h.className === "h" ? "leakage under " : "") + h.textContent, { scope: "row" }));
      const cells = chosen.map((c) => {
        const at = c.board.heads.findIndex((other) => other.dataset.key === h.dataset.key);
        return at < 0 ? null : c.row.cells[at];
      });
      for (const cell of cells) line.append(make("td", cell ? cell.textContent.trim() : "–", { class: "n" }));
      if (pair) {
        const [a, b] = cells.map((cell) => parseFloat(cell.textContent));
        line.append(make("td", Number.isNaN(a - b) ? "–" : (a - b).toFixed(Number.isInteger(a) && Number.isInteger(b) ? 0 : 1), { class: "n" }));
      }
    });
    panel.append(table);
    if (pair)
      panel.append(
        make("p", "Is the difference more than chance? Paired, with interval, task by task:", { class: "fine" }),
        make("code", `rub leaderboard compare ${state.cmp.join(" ")}`),
      );
    else if (state.cmp.length === 1) panel.append(make("p", "Tick a second row to compare with.", { class: "fine" }));
    const close = make("button", "Close", { type: "button" });
    close.addEventListener("click", () => go({ cmp: [] }));
    panel.append(close);
  };

  // --- wiring ------------------------------------------------------------------------------------------------------
  const apply = () => {
    for (const name of fields) if (form.elements[name].value !== state[name]) form.elements[name].value = state[name];
    let shown = 0;
    for (const board of boards) {
      sortBoard(board);
      shown += filterBoard(board);
    }
    document.getElementById("count").value = shown === 1 ? "1 row" : `${shown} rows`;
    showComparison();
  };
  const go = (change, replace = false) => {
    Object.assign(state, change);
    write(replace);
    apply();
  };

  for (const board of boards) {
    for (const head of board.heads) {
      const button = make("button", undefined, { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const key = head.dataset.key;
        const first = key === "rank" || !/\bn\b/.test(head.className) ? "asc" : "desc";
        const other = first === "asc" ? "desc" : "asc";
        if (state.sort !== key) go({ sort: key, dir: first });
        else if (state.dir === first) go({ dir: other });
        else go({ sort: "", dir: "" });
      });
    }
  }
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (!box.classList || !box.classList.contains("pick")) return;
    const rest = state.cmp.filter((id) => id !== box.value);
    go({ cmp: box.checked ? [...rest, box.value].slice(-4) : rest });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const { name, value } = event.target;
    if (fields.includes(name)) go({ [name]: value }, name === "q");
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    go({ ...NOTHING, ...Object.fromEntries(fields.map((name) => [name, ""])) });
  });
  addEventListener("popstate", () => {
    read();
    apply();
  });
  form.hidden = false;
  read();
  apply();
})();
