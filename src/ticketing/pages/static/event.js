// The event page: steppers with buttons, the total while choosing, the countdown to the start of sales.
import { countDown } from "./clock.js";

const form = document.querySelector("[data-cart]");
const money = new Intl.NumberFormat(form.dataset.language, { style: "currency", currency: form.dataset.currency });

for (const stepper of form.querySelectorAll("[data-stepper]")) {
  const input = stepper.querySelector("input");
  const button = (text, step) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "plain";
    made.textContent = text;
    made.setAttribute("aria-label", `${text} ${input.getAttribute("aria-label")}`);
    made.addEventListener("click", () => {
      const wanted = (Number(input.value) || 0) + step;
      input.value = Math.min(Number(input.max), Math.max(0, wanted));
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
    return made;
  };
  stepper.prepend(button("−", -1));
  stepper.append(button("+", 1));
}

const sum = () => {
  let cents = 0;
  let count = 0;
  for (const input of form.querySelectorAll("input[data-price]")) {
    const quantity = Math.max(0, Math.floor(Number(input.value) || 0));
    count += quantity;
    cents += quantity * (Math.round(Number(input.dataset.price) * 100) + Math.round(Number(input.dataset.fee) * 100));
  }
  for (const part of form.querySelectorAll("[data-total]")) part.hidden = count === 0;
  const shown = form.querySelector("[data-sum]");
  if (shown) shown.textContent = money.format(cents / 100);
};
form.addEventListener("input", sum);
sum();

for (const clock of document.querySelectorAll("[data-until]")) {
  countDown(clock, new Date(clock.dataset.until), () => "reload" in clock.dataset && location.reload());
}
