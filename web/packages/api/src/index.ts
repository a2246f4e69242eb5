export { type ClientHooks, content, createApiClient, send } from './client.ts'
export { ApiError, clientError, type FieldProblem, readProblem, type SentenceLanguage } from './errors.ts'
export {
  followStream,
  readEvents,
  type StreamEvent,
  type StreamOptions,
  type StreamState,
} from './event-stream.ts'
