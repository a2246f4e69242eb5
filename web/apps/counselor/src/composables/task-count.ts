import { useTasks } from '../tasks/use-tasks.ts'

/** How many decisions wait for the signed-in person. */
export function useTaskCount() {
  return useTasks().count
}
