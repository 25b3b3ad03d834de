// Fields without a label, by the start of their HTML.
() => [...document.querySelectorAll("input:not([type=hidden]):not([aria-hidden]), select, textarea")]
    .filter(field => !field.labels.length && !field.getAttribute("aria-label"))
    .map(field => field.outerHTML.slice(0, 100))
