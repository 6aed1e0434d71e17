import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import type { Path } from './source.js';

/** A part of a file whose shape may be wrong. */
export type Tree = Readonly<Record<string, unknown>>;

/** Where checks report to. A warning does not stop the start. */
export interface Report {
  mistake(path: Path, message: string, remedy?: string, at?: 'key' | 'value'): void;
  warning(path: Path, message: string, remedy?: string): void;
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The part, or nothing in it when it is missing or has another shape. */
export function asTree(value: unknown): Tree {
  return isTree(value) ? value : {};
}

/** A file that must be readable when it is named. */
export function checkFile(path: Path, file: unknown, folder: string, report: Report): void {
  if (typeof file !== 'string') return;
  const full = resolve(folder, file);
  try {
    accessSync(full, constants.R_OK);
  } catch {
    report.mistake(
      path,
      `the file ${full} cannot be read`,
      'the path of a PEM file; a relative path starts at the folder of this configuration',
    );
  }
}
