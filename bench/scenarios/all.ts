import type { Scenario } from '../harness/scenario.js';
import { churn } from './churn.js';
import { mariadb } from './mariadb.js';
import { s1 } from './s1.js';
import { s2 } from './s2.js';
import { s3 } from './s3.js';
import { s4 } from './s4.js';
import { s5 } from './s5.js';
import { s6 } from './s6.js';
import { s10 } from './s10.js';
import { scatter } from './scatter.js';
import { tpcb } from './tpcb.js';

/** The one table of scenarios, in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [s1, s3, s2, s4, s5, s6, s10, churn, tpcb, scatter, mariadb];
