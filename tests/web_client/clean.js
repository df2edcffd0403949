// Runs the real web client's cleaning on what stands on standard input and prints what is left.
// In: {"bindings": [...as the client receives them...], "forms": [...]}; out: the same, cleaned.
const {cleanForm, validateBindings} = require("mattermost-redux/utils/apps");

let text = "";
process.stdin.on("data", (chunk) => (text += chunk));
process.stdin.on("end", () => {
    const {bindings, forms} = JSON.parse(text);
    // Fields cleaned of a binding's form are cleaned in place, as the client does.
    const kept = validateBindings(bindings);
    forms.forEach((form) => cleanForm(form));
    process.stdout.write(JSON.stringify({bindings: kept, forms}));
});
