import type { Answers } from '../proxy/frontend.js';
import {
  BACKEND_COPY_DONE,
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  EMPTY_QUERY_RESPONSE,
  encodeCommandComplete,
  encodeCopyResponse,
  encodeDataRow,
  encodeError,
  encodeNotice,
  encodeParameterDescription,
  encodeParameterStatus,
  encodeRowDescription,
  NO_DATA,
  PARSE_COMPLETE,
  PORTAL_SUSPENDED,
} from './backend-messages.js';
import { encodeCopyData } from './frontend-messages.js';

/** The answers that the proxy makes itself, in the wire's words. */
export const answers: Answers = {
  parseComplete: () => PARSE_COMPLETE,
  bindComplete: () => BIND_COMPLETE,
  closeComplete: () => CLOSE_COMPLETE,
  noData: () => NO_DATA,
  portalSuspended: () => PORTAL_SUSPENDED,
  emptyQuery: () => EMPTY_QUERY_RESPONSE,
  commandComplete: encodeCommandComplete,
  describesEveryResult: false,
  describedStatement: (_name, { parameterTypes, columns }) =>
    Buffer.concat([
      encodeParameterDescription(parameterTypes),
      columns === undefined ? NO_DATA : encodeRowDescription(columns, []),
    ]),
  rowDescription: encodeRowDescription,
  dataRow: encodeDataRow,
  parameterStatus: encodeParameterStatus,
  error: (error) => encodeError(error, 'ERROR'),
  notice: encodeNotice,
  copyInResponse: (format, columnCount) => encodeCopyResponse('in', format, columnCount),
  copyOutResponse: (format, columnCount) => encodeCopyResponse('out', format, columnCount),
  copyData: encodeCopyData,
  copyDone: () => BACKEND_COPY_DONE,
};
