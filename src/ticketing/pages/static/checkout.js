// The payment page: the countdown of the hold, card numbers in groups, one click at a time.
import { countDown } from "./clock.js";

for (const clock of document.querySelectorAll("[data-until]")) {
  countDown(clock, new Date(clock.dataset.until), () => location.reload());
}
const number = document.getElementById("number");
number?.addEventListener("input", () => {
  const digits = number.value.replace(/\D/g, "").slice(0, 19);
  number.value = digits.replace(/(.{4})(?=.)/g, "$1 ");
});
const expiry = document.getElementById("expiryDate");
expiry?.addEventListener("input", (event) => {
  const digits = expiry.value.replace(/\D/g, "").slice(0, 4);
  const more = digits.length > 2 || (digits.length === 2 && event.inputType !== "deleteContentBackward");
  expiry.value = more ? `${digits.slice(0, 2)}/${digits.slice(2)}` : digits;
});
const form = document.querySelector("[data-payment]");
form?.addEventListener("submit", () => {
  const button = form.querySelector("button");
  setTimeout(() => (button.disabled = true));
  setTimeout(() => (button.disabled = false), 15000);
});
