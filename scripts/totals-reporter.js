// A node:test reporter that writes only the totals, as JSON.
export default async function* totals(events) {
  const counts = {};
  for await (const event of events) {
    const match =
      event.type === 'test:diagnostic' ? /^(pass|fail|cancelled) (\d+)$/.exec(event.data.message) : null;
    if (match !== null) counts[match[1]] = Number(match[2]);
  }
  yield JSON.stringify({ passed: counts.pass ?? 0, failed: (counts.fail ?? 0) + (counts.cancelled ?? 0) });
}
