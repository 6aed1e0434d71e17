import { readFileSync, writeFileSync } from 'node:fs';

/** Time on a processor, in the program and in the kernel; in µs. */
export interface Cpu {
  readonly userUs: number;
  readonly systemUs: number;
}

/** USER_HZ: what /proc counts in, on every Linux that Node runs on (man 5 proc). */
const TICK_US = 10_000;

/** Of a process with all its threads, and of the processes it started that run now. */
export function cpuOf(processId: number): Cpu {
  let [userUs, systemUs] = [0, 0];
  for (const id of familyOf(processId)) {
    // The name in parentheses may hold anything; behind it utime and stime are the 12th and 13th field (man 5 proc).
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    userUs += Number(fields[11]) * TICK_US;
    systemUs += Number(fields[12]) * TICK_US;
  }
  return { userUs, systemUs };
}

/** What was used since `before`, divided among so many statements or other units. */
export function cpuPer(before: Cpu, after: Cpu, units: number): Cpu {
  return {
    userUs: (after.userUs - before.userUs) / units,
    systemUs: (after.systemUs - before.systemUs) / units,
  };
}

/** Memory of a process, and of those that it started, in RAM now. */
export function residentBytes(processId: number): number {
  return sumOfStatus(processId, 'VmRSS');
}

function sumOfStatus(processId: number, field: 'VmRSS' | 'VmHWM'): number {
  return familyOf(processId)
    .map((id) => new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${id}/status`, 'utf8')))
    .reduce((sum, kilobytes) => sum + Number(kilobytes?.[1]) * 1024, 0);
}

function familyOf(processId: number): number[] {
  const children = readFileSync(`/proc/${processId}/task/${processId}/children`, 'utf8');
  return [processId, ...children.split(' ').filter(Boolean).map(Number).flatMap(familyOf)];
}

/** Forgets the peak so far (man 5 proc, clear_refs: 5). */
export function resetPeak(processId: number): void {
  for (const id of familyOf(processId)) writeFileSync(`/proc/${id}/clear_refs`, '5');
}

/** Most memory in RAM since `resetPeak`. */
export function peakBytes(processId: number): number {
  return sumOfStatus(processId, 'VmHWM');
}

export function countChildren(processId: number): number {
  return familyOf(processId).length - 1;
}
