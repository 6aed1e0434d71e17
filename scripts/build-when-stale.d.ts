export function buildWhenStale(tell: (line: string) => void): void;
