import { readAll, useSession } from '@dianming/staff'
import { useQuery } from '@tanstack/vue-query'
import { computed } from 'vue'

/** Students of the own classes with a current warning: near a limit, or absent; also by id. */
export function useWarnedStudents() {
  const { api } = useSession()
  const query = useQuery({
    queryKey: ['warned-students'],
    queryFn: ({ signal }) =>
      readAll((cursor) =>
        api.GET('/v1/student-warnings', {
          params: { query: { limit: 100, ...(cursor && { cursor }) } },
          signal,
        }),
      ),
    staleTime: 60_000,
  })
  const byId = computed(() => new Map((query.data.value ?? []).map((each) => [each.student_id, each])))
  return { ...query, byId }
}
