// Turns each row of pictures into a slider between two of them. Without this script the pictures stand side by side.
for (const compare of document.querySelectorAll(".compare")) {
  const images = [...compare.querySelectorAll("img")];
  if (images.length < 2) continue;
  const make = (tag, properties = {}, parent = null) => {
    const element = Object.assign(document.createElement(tag), properties);
    parent?.append(element);
    return element;
  };
  const stage = make("div", { className: "stage" });
  stage.append(...images, ...compare.querySelectorAll(".box"));
  make("div", { className: "bar" }, stage);
  const range = make("input", { type: "range", min: 0, max: 100, value: 50, step: 1 }, stage);
  const choice = make("div", { className: "choice" });
  const choose = (side, start) => {
    const label = make("label", { textContent: side + " " }, choice);
    const select = make("select", {}, label);
    images.forEach((image, index) => make("option", { value: index, textContent: image.alt }, select));
    select.value = start;
    select.addEventListener("change", update);
    return select;
  };
  const update = () => {
    images.forEach((image, index) => {
      image.classList.toggle("left", index === Number(left.value));
      image.classList.toggle("right", index === Number(right.value));
    });
    stage.style.setProperty("--at", range.value + "%");
    const names = [left, right].map((select) => images[select.value].alt);
    range.setAttribute("aria-label", `Border between ${names[0]} on the left and ${names[1]} on the right`);
  };
  const left = choose("left", 0);
  const right = choose("right", 1);
  range.addEventListener("input", update);
  compare.replaceChildren(stage, choice);
  compare.classList.add("live");
  update();
}
