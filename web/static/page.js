// The page of AI-Nexus: asks the API, follows its events, shows everything as text.

const api = '/api/v1';
const at = id => document.getElementById(id);
let token = takeToken();
let last = 0;         // the newest event that was seen
let wanted = false;   // something changed since the last look
let looking = false;

// The token comes behind the #, which browsers do not send. It is kept for as long as the tab lives.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem('token', given);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem('token') ?? '';
}

function ask(path, init = {}) {
  return fetch(api + path, {...init, headers: {Authorization: 'Bearer ' + token, ...init.headers}});
}

async function get(path) {
  const answer = await ask(path);
  if (answer.status === 401) {
    at('ask').hidden = false;
    throw new Error('the token is missing or wrong');
  }
  if (!answer.ok) throw new Error((await answer.json()).detail ?? answer.statusText);
  at('ask').hidden = true;
  return answer.json();
}

function say(text, away = false) {
  at('state').textContent = text;
  at('state').className = away ? 'away' : '';
}

// cell holds text or an element, never markup.
function cell(content, name = '') {
  const td = document.createElement('td');
  td.append(content ?? '');
  td.className = name;
  return td;
}

function row(...cells) {
  const tr = document.createElement('tr');
  tr.append(...cells);
  return tr;
}

function gpus(job) {
  if (job.placement) return String(job.placement.seats.reduce((n, seat) => n + (seat.gpus?.length ?? 0), 0));
  return String(job.spec.resources.gpus);
}

// progress shows the rank that is furthest behind.
function progress(job) {
  const ranks = job.progress ?? [];
  if (ranks.length === 0) return job.phase === 'Running' ? 'unknown' : '';
  const slowest = ranks.reduce((a, b) => (b.step < a.step ? b : a));
  const box = document.createElement('span');
  if (slowest.total_steps) {
    const bar = document.createElement('progress');
    bar.max = slowest.total_steps;
    bar.value = slowest.step;
    box.append(bar, ' ');
  }
  box.append('step ' + slowest.step + (slowest.total_steps ? '/' + slowest.total_steps : ''));
  if (typeof slowest.loss === 'number') box.append('  loss ' + slowest.loss.toFixed(4));
  return box;
}

function reason(job) {
  if (job.phase === 'Pending') return job.sentence ?? job.reason?.code ?? '';
  if (job.phase === 'Failed') return job.result?.message ?? '';
  return job.status && job.status.state !== 'running' ? job.status.state : '';
}

// starts is when a job that waits is expected to start; hovering shows the interval that should hold it in 80 of 100 cases.
function starts(job) {
  if (!job.eta) return '';
  const box = document.createElement('span');
  box.textContent = new Date(job.eta).toLocaleString();
  if (job.expected) {
    box.title = '80 %: ' + new Date(job.expected.low).toLocaleString() + ' to ' + new Date(job.expected.high).toLocaleString();
  }
  return box;
}

function jobRow(job) {
  const name = document.createElement('span');
  name.textContent = job.spec.name || job.id;
  name.title = job.id;
  return row(cell(name), cell(job.spec.type), cell(job.spec.priority), cell(job.phase, job.phase), cell(gpus(job)),
    cell(progress(job)), cell(reason(job)), cell(starts(job)));
}

const known = (n, unit) => (n >= 0 ? n + unit : '');
const memory = text => (String(text).startsWith('-') ? '' : text);

function nodeRows(node) {
  const rows = [row(cell(node.name), cell(node.no_gpu ? 'no GPU' : ''), cell(node.state),
    cell('cpu ' + node.cpu_used + ' of ' + node.cpu), cell(''), cell(node.memory_used + ' of ' + node.memory), cell(''), cell(''))];
  for (const d of node.devices) {
    rows.push(row(cell(node.name), cell(d.index + ' ' + (d.model ?? '')), cell(d.problem || 'well', d.problem ? 'problem' : ''),
      cell(known(d.util_percent, ' %')), cell(memory(d.used) + ' of ' + d.memory), cell(d.allocated),
      cell(known(d.temperature_c, ' °C')), cell(d.power_mw >= 0 ? Math.round(d.power_mw / 1000) + ' W' : '')));
  }
  return rows;
}

// look asks for everything and shows it. While one look is under way, more wishes become one more look.
async function look() {
  wanted = true;
  if (looking) return;
  looking = true;
  try {
    while (wanted) {
      wanted = false;
      const [jobs, nodes] = await Promise.all([get(at('all').checked ? '/jobs?limit=200' : '/jobs?live=true&limit=1000'), get('/nodes')]);
      at('jobs').replaceChildren(...jobs.jobs.map(jobRow));
      at('none').hidden = jobs.jobs.length > 0;
      at('nodes').replaceChildren(...nodes.nodes.flatMap(nodeRows));
      say('as of ' + new Date().toLocaleTimeString());
    }
  } catch (error) {
    say(error.message, true);
  } finally {
    looking = false;
  }
}

// follow reads the event stream. Unlike EventSource, fetch can send the token in a header, where no other page's
// request can carry it.
async function follow() {
  const answer = await ask(last ? '/events' : '/events?new=true', {headers: last ? {'Last-Event-ID': String(last)} : {}});
  if (!answer.ok) throw new Error(answer.statusText);
  await look();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const id = /^id: (\d+)$/m.exec(part);
      if (id) {
        last = Number(id[1]);
        look();
      }
    }
  }
}

async function live() {
  for (let pause = 500; ; pause = Math.min(2 * pause, 10000)) {
    try {
      const began = Date.now();
      await follow();
      if (Date.now() - began > 10000) pause = 500;
    } catch {
      // look says what is wrong
    }
    say('the daemon is away', true);
    await new Promise(done => setTimeout(done, pause));
    await look();
  }
}

at('all').addEventListener('change', look);
at('ask').addEventListener('submit', event => {
  event.preventDefault();
  sessionStorage.setItem('token', at('token').value.trim());
  location.reload();
});
// Steps and temperatures are no events: while somebody looks, ask.
setInterval(() => { if (!document.hidden) look(); }, 2000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) look(); });
live();
