// Cells of the grid of runs, and its live rows. Values are inserted as text, never as markup.
(() => {
  const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  const go = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab
    event.preventDefault();
    history.pushState({}, "", event.currentTarget.href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // what Dash's own links do
  };
  cells.RunLink = (props) =>
    props.value == null ? null : React.createElement("a", { href: props.data.link, onClick: go }, String(props.value));
  cells.State = (props) =>
    props.value == null ? null : React.createElement("span", { className: `state state-${props.value}` }, props.value);
  cells.Share = (props) =>
    props.value == null
      ? null
      : React.createElement(
          "span",
          { className: "share" },
          React.createElement("span", { className: "bar", style: { "--share": props.value } }),
          `${Math.round(100 * props.value)} %`,
        );

  const ENDED = ["succeeded", "failed", "cancelled"];
  const grid = () => {
    try {
      return window.dash_ag_grid.getApi("runs");
    } catch {
      return null; // not created yet, or removed
    }
  };
  const functions = (window.dash_clientside = window.dash_clientside || {});
  functions.grid = {
    // Numbers of the visible rows that may still change.
    moving: () => {
      const rows = (grid()?.getRenderedNodes() ?? []).map((node) => node.data);
      return rows.filter((row) => row && !ENDED.includes(row.state)).map((row) => row.run);
    },
    // New values for visible rows; if the list itself has grown, all rows are requested again.
    fresh: (news) => {
      for (const row of news?.rows ?? []) grid()?.getRowNode(row.id)?.setData(row);
      if (news?.again) grid()?.refreshInfiniteCache();
      return window.dash_clientside.no_update;
    },
  };
})();
