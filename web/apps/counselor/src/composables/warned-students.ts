import { readAll, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'

/** Students of the own classes with a current warning: near a limit, or absent. */
export function useWarnedStudents() {
  const { api } = useSession()
  return useQuery({
    queryKey: ['warned-students'],
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        api.GET('/v1/student-warnings', {
          params: { query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
  })
}
