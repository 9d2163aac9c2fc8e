'use strict';
// Sends the actions of this page as JSON, and shows in place what came of it.

const FLASH = 'backline:flash';

// crypto.randomUUID exists only where the page counts as secure, which plain HTTP to another
// machine does not.
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)),
  (byte) => byte.toString(16).padStart(2, '0')).join('');

const element = (name, text, kind) => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};

// A number keeps the digits that were typed, where JSON knows that way of writing it.
const json = (control) => {
  switch (control.dataset.kind) {
    case 'flag': return String(control.checked);
    case 'number':
      return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(control.value)
        ? control.value : JSON.stringify(Number(control.value));
    default: return JSON.stringify(control.value);
  }
};

const bodyOf = (form) => {
  const members = [...form.elements]
    .filter((control) => control.dataset.kind)
    .filter((control) => control.dataset.kind === 'flag' || control.value !== '')
    .map((control) => `${JSON.stringify(control.name)}:${json(control)}`);
  return form.dataset.method === 'DELETE' && members.length === 0 ? null : `{${members.join(',')}}`;
};

const clear = (form) => {
  form.querySelector('.outcome').replaceChildren();
  for (const error of form.querySelectorAll('.error')) error.hidden = true;
  for (const control of form.elements) control.removeAttribute('aria-invalid');
};

const show = (form, kind, ...lines) => {
  const outcome = form.querySelector('.outcome');
  outcome.className = `outcome ${kind}`;
  outcome.replaceChildren(...lines.filter(Boolean));
};

// The problem as a whole, and beside each field what is wrong with it.
const showProblem = (form, response, problem) => {
  const status = `${response.status} ${response.statusText}`.trim();
  show(form, 'bad', element('strong', problem.title || status),
    problem.detail && element('p', problem.detail),
    element('p', problem.title ? status : '', 'address'));
  let first = null;
  for (const { field, message } of Array.isArray(problem.errors) ? problem.errors : []) {
    const control = [...form.elements].find((each) => each.dataset.kind && each.name === field);
    if (!control) continue;
    const error = document.getElementById(`${control.id}-error`);
    error.textContent = message;
    error.hidden = false;
    control.setAttribute('aria-invalid', 'true');
    first ??= control;
  }
  first?.focus();
};

// Where to see what was done: the resource that was made, or this one in its new state.
const goOn = (form, response) => {
  const done = form.querySelector('h3').textContent;
  const status = `${response.status} ${response.statusText}`.trim();
  try { sessionStorage.setItem(FLASH, `${done}: done (${status})`); } catch { /* only a courtesy */ }
  show(form, 'good', element('strong', `Done (${status})`));
  const location = response.headers.get('Location');
  const next = location ? new URL(location, response.url) : null;
  if (next && next.origin === window.location.origin && next.href !== window.location.href) {
    window.location.assign(next);
  } else if (form.dataset.method === 'DELETE' && form.dataset.after) {
    window.location.assign(form.dataset.after);
  } else {
    window.location.reload();
  }
};

const prepare = (form) => {
  const button = form.querySelector('button');
  let key, sent, answered, busy;
  const begin = () => {
    [key, sent, answered, busy] = [newKey(), null, false, false];
    button.disabled = false;
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    const body = bodyOf(form);
    // A corrected request is another one. But while it is unknown whether the last one was carried
    // out, the key stays: the service then refuses to do both.
    if (answered && body !== sent) key = newKey();
    [sent, answered, busy] = [body, false, true];
    button.disabled = true;
    clear(form);
    show(form, 'busy', element('p', 'Sending…'));
    try {
      const headers = { Accept: 'application/hal+json', 'Idempotency-Key': `"${key}"` };
      if (body !== null) headers['Content-Type'] = 'application/json';
      const response = await fetch(form.dataset.href, { method: form.dataset.method, headers, body });
      answered = response.status < 500;
      if (response.ok) return goOn(form, response);
      showProblem(form, response, (await response.json().catch(() => null)) ?? {});
    } catch {
      show(form, 'bad', element('strong', 'No answer came'),
        element('p', 'Send it again as it is: it will not be done twice.'));
    }
    busy = false;
    button.disabled = false;
  });
  // Also when the browser brings this page back as it was left.
  window.addEventListener('pageshow', (event) => { if (event.persisted) clear(form); begin(); });
};

document.querySelectorAll('form[data-href]').forEach((form) => {
  if (form.querySelector('button')) prepare(form);
});

// What was left empty is not asked for.
document.querySelectorAll('form[data-search]').forEach((form) => {
  form.addEventListener('formdata', ({ formData }) => {
    for (const [name, value] of [...formData]) if (value === '') formData.delete(name);
  });
});

try {
  const text = sessionStorage.getItem(FLASH);
  const flash = document.querySelector('.flash');
  if (text && flash) {
    sessionStorage.removeItem(FLASH);
    flash.textContent = text;
    flash.hidden = false;
  }
} catch { /* only a courtesy */ }
