// Stripe's own card element: the card goes to Stripe, we get a token.
const form = document.querySelector("[data-stripe]");
const stripe = window.Stripe(form.dataset.stripe);
const elements = stripe.elements({
  mode: "payment",
  amount: Number(form.dataset.amount),
  currency: form.dataset.currency,
  paymentMethodCreation: "manual",
  paymentMethodTypes: ["card"],
});
elements.create("payment").mount("[data-card-element]");

form.addEventListener("submit", async (event) => {
  const token = form.elements.namedItem("token");
  if (token.value) return;
  event.preventDefault();
  const { error: incomplete } = await elements.submit();
  if (incomplete) return;
  const { error, confirmationToken } = await stripe.createConfirmationToken({ elements });
  if (error) return;
  token.value = confirmationToken.id;
  form.submit();
});
