// Draws what /stats.json says. Names in it come from callers: they only ever become text, never markup.

const EVERY_MS = 5000
const TOKEN = 'local-llm-agent-token'
const SHOWN = ['tier', 'engine', 'model', 'adapter', 'project', 'ms', 'tokens', 'saved', 'cached', 'escalated',
  'decided_by', 'route', 'notes']

const $ = id => document.getElementById(id)
const number = new Intl.NumberFormat('en')
const short = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1})
const filters = $('filters').elements

let token = sessionStorage.getItem(TOKEN) ?? ''
let drawn = {}
let asked = 0
let latest = null

// --- asking ---------------------------------------------------------------------------------------------

async function refresh() {
  const turn = ++asked
  const {since, project} = wanted()
  const query = new URLSearchParams({since, project})
  let response, body
  try {
    const headers = token ? {Authorization: `Bearer ${token}`} : {}
    response = await fetch(`stats.json?${query}`, {headers, signal: AbortSignal.timeout(20000)})
    body = await response.json()
  } catch {
    if (turn === asked) complain('The server does not answer. Trying again.')
    return
  }
  if (turn !== asked) return
  if (response.status === 401) return lock()
  if (!response.ok) return complain(`${body.error.message}. ${body.error.hint ?? ''}`)
  show(body)
}

function wanted() {
  const said = new URLSearchParams(location.hash.slice(1))
  return {since: said.get('since') ?? '7d', project: said.get('project') ?? ''}
}

function complain(text) {
  say('trouble', text)
  $('trouble').hidden = false
  say('status', 'Not up to date')
}

// Screen readers read a text again when it is set again.
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text
}

function lock() {
  $('refused').textContent = token ? 'That token was refused.' : ''
  for (const id of ['figures', 'empty', 'filters', 'engines-panel', 'last-panel', 'trouble']) $(id).hidden = true
  say('status', 'Locked')
  token = ''
  sessionStorage.removeItem(TOKEN)
  if ($('lock').hidden) {
    $('lock').hidden = false
    $('token').focus()
  }
}

// --- showing --------------------------------------------------------------------------------------------

function show(stats) {
  latest = stats
  const any = stats.periods.all.calls + stats.periods.all.definitions_listed > 0
  $('lock').hidden = $('trouble').hidden = true
  $('empty').hidden = any || Boolean(stats.project)
  $('filters').hidden = $('figures').hidden = !$('empty').hidden
  $('last-panel').hidden = !stats.last.length
  $('engines-panel').hidden = false
  say('status', `Version ${stats.now.version}, up to date`)
  offer(stats.projects)
  part('net', [stats.totals, stats.periods], () => net(stats))
  part('time', [stats.unit, stats.steps, $('time').clientWidth], () => overTime(stats.unit, stats.steps))
  for (const kind of ['project', 'tool', 'agent'])
    part(`by-${kind}`, stats.by[kind], () => [groups(kind, stats.by[kind])])
  part('latency', stats.latency, () => latency(stats.latency))
  part('engines', stats.now.engines, () => stats.now.engines.map(engine))
  part('last', stats.last, () => stats.last.map(call))
}

// Draw only what has changed, so that nothing is taken from under a reader's cursor or focus.
function part(id, data, draw) {
  const key = JSON.stringify(data)
  if (drawn[id] === key) return
  drawn[id] = key
  const open = new Set([...$(id).querySelectorAll('details[open]')].map(details => details.dataset.key))
  const focus = $(id).contains(document.activeElement) && document.activeElement.parentElement.dataset.key
  $(id).replaceChildren(...draw())
  for (const details of $(id).querySelectorAll('details')) {
    details.open = open.has(details.dataset.key)
    if (details.dataset.key === focus) details.querySelector('summary').focus()
  }
}

function offer(projects) {
  const {since, project} = wanted()
  filters.since.value = since
  const names = project && !projects.includes(project) ? [project, ...projects] : projects
  if (JSON.stringify(names) !== drawn.projects) {
    drawn.projects = JSON.stringify(names)
    const options = names.map(name => h('option', {value: name}, name))
    filters.project.replaceChildren(h('option', {value: ''}, 'all projects'), ...options)
  }
  filters.project.value = project
}

function net({totals, periods}) {
  const {calls, failed, cached, tokens, spent, saved, definitions_listed: listed} = totals
  return [
    h('p', {className: `net ${sign(saved)}`}, number.format(saved)),
    h('p', {className: 'sum'}, `${number.format(tokens.read)} read for your agents, minus `
      + `${number.format(spent)} for calls, answers and tool definitions`),
    h('dl', {className: 'small'},
      fact('Today', number.format(periods.today.saved), sign(periods.today.saved)),
      fact('7 days', number.format(periods['7d'].saved), sign(periods['7d'].saved)),
      fact('All time', number.format(periods.all.saved), sign(periods.all.saved)),
      fact('Calls', number.format(calls)),
      fact('Failed', number.format(failed)),
      fact('Cached', number.format(cached)),
      fact('Sessions', number.format(listed))),
  ]
}

function fact(name, value, className = '') {
  return h('div', {}, h('dt', {}, name), h('dd', {className}, value))
}

function overTime(unit, steps) {
  if (!steps.length) return [h('p', {className: 'sum'}, 'Nothing in this period.')]
  const best = steps.reduce((one, other) => other.saved > one.saved ? other : one)
  const label = `Tokens saved by ${unit}. Most: ${number.format(best.saved)}, ${moment(unit, best.start, true)}.`
  const rows = steps.filter(step => step.calls || step.saved).map(step => h('tr', {},
    h('th', {scope: 'row'}, moment(unit, step.start, true)),
    h('td', {}, number.format(step.calls)),
    h('td', {className: sign(step.saved)}, number.format(step.saved))))
  const details = h('details', {className: 'table-of'},
    h('summary', {}, 'As a table'),
    table(label, [unit[0].toUpperCase() + unit.slice(1), 'Calls', 'Saved'], rows))
  details.dataset.key = 'time'
  return [chart(unit, steps, label), details]
}

function chart(unit, steps, label) {
  const width = Math.max(280, $('time').clientWidth), height = 200, left = 52, bottom = 22, top = 8
  const ticks = scale(Math.min(0, ...steps.map(step => step.saved)), Math.max(0, ...steps.map(step => step.saved)))
  const [low, high] = [ticks[0], ticks.at(-1)]
  const y = value => top + (height - top - bottom) * (high - value) / (high - low)
  const slot = (width - left) / steps.length
  const every = Math.ceil(steps.length / Math.max(2, Math.floor((width - left) / 70)))
  const bar = Math.min(48, Math.max(1, slot * .72))
  const picture = s('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': label})
  for (const tick of ticks) {
    picture.append(
      s('line', {class: tick ? 'grid' : 'zero', x1: left, x2: width, y1: y(tick), y2: y(tick)}),
      s('text', {x: left - 8, y: y(tick) + 4, 'text-anchor': 'end'}, short.format(tick)))
  }
  steps.forEach((step, index) => {
    const middle = left + slot * (index + .5)
    const [from, to] = [y(Math.max(0, step.saved)), y(Math.min(0, step.saved))]
    const title = `${moment(unit, step.start, true)}: ${number.format(step.saved)} saved, ${step.calls} calls`
    picture.append(s('rect', {class: sign(step.saved), x: middle - bar / 2, width: bar, y: from,
      height: step.saved ? Math.max(1.5, to - from) : 0, rx: Math.min(3, bar / 4)}, s('title', {}, title)))
    if ((steps.length - 1 - index) % every === 0) {
      const last = middle + 24 > width
      const place = {x: last ? width : middle, y: height - 4, 'text-anchor': last ? 'end' : 'middle'}
      picture.append(s('text', place, moment(unit, step.start)))
    }
  })
  return picture
}

// Round numbers from below ``low`` to above ``high``, four or five of them.
function scale(low, high) {
  const rough = (high - low || 1) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = Math.max(1, power * [1, 2, 2.5, 5, 10].find(factor => power * factor >= rough))
  const ticks = []
  for (let at = Math.floor(low / step); at <= Math.ceil(high / step); at++) ticks.push(at * step)
  return ticks.length > 1 ? ticks : [0, step]
}

function moment(unit, start, long = false) {
  const date = new Date(unit === 'hour' ? `${start}:00` : unit === 'day' ? `${start}T00:00` : `${start}-01T00:00`)
  const day = {day: 'numeric', month: 'short', ...long && {weekday: 'short'}}
  const clock = {hour: '2-digit', minute: '2-digit', hourCycle: 'h23'}
  const form = {hour: long ? {...day, ...clock} : clock, day, month: {month: 'short', year: 'numeric'}}
  return date.toLocaleString('en-GB', form[unit])
}

function groups(kind, found) {
  const longest = Math.max(1, ...found.map(group => Math.abs(group.saved)))
  const rows = found.map(group => {
    const bar = h('span', {className: `bar ${sign(group.saved)}`})
    bar.style.width = `${100 * Math.abs(group.saved) / longest}%`
    return h('tr', {},
      h('th', {scope: 'row'}, group.name, bar),
      h('td', {}, number.format(group.calls)),
      h('td', {className: group.failed ? 'loss' : ''}, number.format(group.failed)),
      h('td', {className: sign(group.saved)}, number.format(group.saved)))
  })
  return table(`Calls and tokens saved by ${kind}`, [kind[0].toUpperCase() + kind.slice(1), 'Calls', 'Failed', 'Saved'], rows)
}

function latency(tiers) {
  const key = h('p', {className: 'key'}, h('span', {}, 'half of the calls'),
    h('span', {className: 'k95'}, '95% of them'), h('span', {className: 'kt'}, 'target'))
  key.ariaHidden = 'true'
  return [...tiers.map(tier), key]
}

function tier({tier: name, target_ms: target, calls, p50_ms: half, p95_ms: most, within}) {
  const full = Math.max(target * 1.4, most * 1.05)
  const share = ms => `${100 * ms / full}%`
  const [wide, thin, tick] = [h('i', {}), h('i', {className: 'half'}), h('i', {className: 'target'})]
  wide.style.width = share(most)
  thin.style.width = share(half)
  tick.style.left = share(target)
  const told = calls
    ? `Half took at most ${time(half)}, 95% at most ${time(most)}; ${Math.round(100 * within)}% of `
      + `${number.format(calls)} met the target of ${time(target)}.`
    : `No calls; the target is ${time(target)}.`
  return h('div', {className: 'tier'}, h('h3', {}, `Tier ${name}`),
    h('div', {className: 'track'}, wide, thin, tick), h('p', {}, told))
}

function engine({name, ready, error, models, running, waiting, places}) {
  const adapters = models.filter(model => model.adapts).map(model => model.name)
  const offered = models.filter(model => !model.adapts).map(model => model.name)
  const queue = `${running} of ${places} slots in use, ${waiting} waiting`
  return h('div', {className: 'engine'},
    h('h3', {}, name, h('span', {className: ready ? 'gain' : 'away'}, ready ? '● ready' : '○ not there')),
    h('p', {}, ready || running || waiting ? queue : error ?? ''),
    offered.length ? h('p', {}, `Models: ${offered.join(', ')}`) : '',
    adapters.length ? h('p', {}, `Adapters: ${adapters.join(', ')}`) : '')
}

function call({at, agent, tool, error, receipt}) {
  const when = new Date(at)
  const who = [receipt.project, agent, receipt.model].filter(Boolean).join(' · ')
  const summary = h('summary', {},
    h('time', {dateTime: at}, when.toLocaleString('en-GB',
      {day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'})),
    h('span', {className: 'tool'}, tool),
    h('span', {className: 'who'}, error ? h('span', {className: 'loss'}, `${error} · `) : '', who),
    h('span', {className: 'ms'}, time(receipt.ms)),
    h('span', {className: `saved ${sign(receipt.saved)}`}, number.format(receipt.saved),
      h('span', {className: 'unseen'}, ' tokens saved')))
  const details = h('details', {}, summary, h('dl', {className: 'receipt'},
    ...SHOWN.filter(name => receipt[name] != null && receipt[name] !== '').flatMap(name => [
      h('dt', {}, name.replace('_', ' ')), h('dd', {}, said(name, receipt[name]))])))
  details.dataset.key = `${at} ${tool}`
  return h('li', {}, details)
}

function said(name, value) {
  if (name === 'tokens') return ['read', 'in', 'out'].map(way => `${way} ${number.format(value[way])}`).join(', ')
  if (Array.isArray(value)) return value.join('; ')
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  return typeof value === 'number' ? number.format(value) : value
}

// --- elements -------------------------------------------------------------------------------------------

function table(caption, heads, rows) {
  return h('table', {},
    h('caption', {}, caption),
    h('thead', {}, h('tr', {}, ...heads.map(head => h('th', {scope: 'col'}, head)))),
    h('tbody', {}, ...rows))
}

function h(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties)
  element.append(...children.filter(child => child !== ''))
  return element
}

function s(name, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

const sign = tokens => tokens < 0 ? 'loss' : 'gain'
const time = ms => ms < 1000 ? `${number.format(ms)} ms` : `${(ms / 1000).toFixed(1)} s`

// --- what a reader does ---------------------------------------------------------------------------------

$('filters').addEventListener('change', () => {
  location.hash = new URLSearchParams({since: filters.since.value, project: filters.project.value})
})
$('filters').addEventListener('submit', event => event.preventDefault())
window.addEventListener('hashchange', refresh)
window.addEventListener('resize', () => { if (latest && $('lock').hidden) show(latest) })
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh() })
$('lock').querySelector('form').addEventListener('submit', event => {
  event.preventDefault()
  token = $('token').value
  sessionStorage.setItem(TOKEN, token)
  $('token').value = ''
  refresh()
})
setInterval(() => { if (!document.hidden && $('lock').hidden) refresh() }, EVERY_MS)
refresh()
